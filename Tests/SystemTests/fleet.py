# SPDX-License-Identifier: Apache-2.0
"""Owns what the cases ask of gossipd on a host: configuration, members, keys, events, metrics, journal."""

import json
import re
import socket
import threading
import time

from lab import Trouble, wait

PORT = 7946
CONFIGURATION = "/etc/gossipd/gossipd.toml"


def configuration(host, extra=""):
    """With more patience for a restart than the default of 0.5 s: how long one takes is printed, and must not depend on
    what else this machine does."""
    return (f'name = "{host.name}"\nbind = "{host.address}:{PORT}"\n'
            f'join = ["host-1:{PORT}", "host-2:{PORT}"]\ninsecure = true\n{extra}'
            '[membership]\nrefused_suspicion_min = "3s"\n')


def ctl(host, *arguments, **options):
    return host.run("gossipctl", *arguments, **options)


def ask(host, *arguments, **options):
    return json.loads(host.run("gossipctl", "--output", "json", *arguments, **options))


def states(host):
    """The members as this host sees them: name to state."""
    return {member["name"]: member["state"] for member in ask(host, "members")["members"]}


def sees(host, **wanted):
    now = states(host)
    return all(now.get(name.replace("_", "-")) == state for name, state in wanted.items())


def all_alive(hosts):
    names = {host.name for host in hosts}
    return all({name for name, state in states(host).items() if state == "alive"} >= names for host in hosts)


def node_id(host):
    return ask(host, "status")["node"]["id"]


def main_pid(host, unit="gossipd.service"):
    return int(host.show(unit, "MainPID"))


def active(host, unit="gossipd.service"):
    return host.show(unit, "ActiveState") == "active"


def metric(host, name, path="/run/gossipd/gossipd.sock"):
    """The sum of a metric over its labels."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    try:
        connection.connect(f"/proc/{host.leader()}/root{path}")
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: gossipd\r\nconnection: close\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    finally:
        connection.close()
    values = re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+-]+)\r?$", answer.decode(), re.MULTILINE)
    if not values:
        raise Trouble(f"{host.name} has no metric {name}")
    return sum(float(value) for value in values)


def journal(host, *matches, since=None):
    """Entries of the journal as dictionaries, the oldest first. Matches are joined as journalctl does it."""
    # With both a match and a cursor, journalctl of systemd 252 passes over the first entry that fits.
    arguments = [f"--after-cursor={since}"] if since else matches
    text = host.run("journalctl", "--no-pager", "-o", "json", *arguments)
    entries = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    wanted = {}
    for match in matches:
        field, _, value = match.partition("=")
        wanted.setdefault(field, set()).add(value)
    return [entry for entry in entries if all(entry.get(field) in values for field, values in wanted.items())]


def journal_cursor(host):
    host.run("journalctl", "--sync")
    told = host.run("journalctl", "--no-pager", "-n", "0", "--show-cursor")
    return re.search(r"-- cursor: (\S+)", told)[1]


def told(host, since, *events):
    """The gossipd events of these kinds in the journal after `since`, as (event, member)."""
    host.run("journalctl", "--sync")
    entries = journal(host, *[f"GOSSIPD_EVENT={event}" for event in events], since=since)
    return [(entry["GOSSIPD_EVENT"], entry.get("GOSSIPD_MEMBER", "")) for entry in entries]


class Writer:
    """Writes keys one after the other and remembers those that were acknowledged."""

    def __init__(self, host, prefix, wait_for=None):
        self.host = host
        self.prefix = prefix
        options = f" --wait {wait_for}" if wait_for else ""
        # After a failure it goes on with the same key: only acknowledged ones count.
        self.mark = f"/run/writing-{prefix}"
        host.run("touch", self.mark)
        script = (f"i=0; while [ -e {self.mark} ]; do if gossipctl kv put {prefix}/$i value-$i{options} >/dev/null 2>&1; "
                  "then echo $i; i=$((i+1)); else echo failed >&2; sleep .05; fi; done")
        self.process = host.start("sh", "-c", script)
        self.acknowledged = []
        self.failures = 0
        self.threads = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=self._count, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            if line.strip().isdigit():
                self.acknowledged.append(int(line))

    def _count(self):
        for _ in self.process.stderr:
            self.failures += 1

    def stop(self):
        """Ends the loop and returns the acknowledged numbers."""
        leader = self.host.leader()
        if leader is not None:
            self.host.try_run("rm", "-f", self.mark)
        # Ends by itself, or has ended with its host.
        self.process.wait(60)
        for thread in self.threads:
            thread.join(5)
        return list(self.acknowledged)


def missing(host, prefix, numbers):
    """Acknowledged keys that this host does not have, or has with another value."""
    lines = ctl(host, "kv", "export", f"{prefix}/").splitlines()
    found = {entry["key"]: entry.get("value") for entry in map(json.loads, lines)}
    return [n for n in numbers if found.get(f"{prefix}/{n}") != f"value-{n}"]


class Readers:
    """Clients that ask again and again; counts answers, failures and the longest wait."""

    def __init__(self, host, count=4):
        self.mark = "/run/reading"
        host.run("touch", self.mark)
        script = (f"while [ -e {self.mark} ]; do " "a=$(date +%s%N); if m=$(gossipctl status 2>&1 >/dev/null); then "
                  "echo ok $(( ($(date +%s%N)-a)/1000000 )); else echo failed \"$m\"; fi; done")
        self.host = host
        self.processes = [host.start("sh", "-c", script) for _ in range(count)]
        self.waits, self.failures = [], []
        self.threads = [threading.Thread(target=self._read, args=(p,), daemon=True) for p in self.processes]
        for thread in self.threads:
            thread.start()

    def _read(self, process):
        for line in process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "ok":
                self.waits.append(int(rest))
            else:
                self.failures.append(rest)

    def stop(self):
        self.host.run("rm", "-f", self.mark)
        for process in self.processes:
            process.wait(60)
        for thread in self.threads:
            thread.join(5)


def elapsed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def require(condition, what):
    if not condition:
        raise Trouble(what)


def form(lab):
    """Configures all hosts as one cluster and waits until each sees all."""
    for host in lab.hosts:
        host.put(CONFIGURATION, configuration(host))
        host.run("gossipd", "check-config", CONFIGURATION)
        host.run("systemctl", "restart", "gossipd")
    return elapsed(lambda: wait(lambda: all_alive(lab.hosts), "all hosts see all", 30))
