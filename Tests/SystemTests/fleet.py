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
SOCKET = "/run/gossipd/gossipd.sock"


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


def metric(host, name, path=SOCKET):
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
    """Writes keys one after the other with gossipctl and remembers those that were acknowledged, and what it was told else."""

    def __init__(self, host, prefix, wait_for=None):
        self.host = host
        self.prefix = prefix
        options = f" --wait {wait_for}" if wait_for else ""
        # After a failure it goes on with the same key: only acknowledged ones count.
        self.mark = f"/run/writing-{prefix}"
        host.run("touch", self.mark)
        script = (f"i=0; while [ -e {self.mark} ]; do if m=$(gossipctl kv put {prefix}/$i value-$i{options} 2>&1 >/dev/null); "
                  "then echo $i; i=$((i+1)); else echo \"failed $? $m\" >&2; sleep .05; fi; done")
        self.process = host.start("sh", "-c", script)
        self.acknowledged = []
        self.failures = []
        self.threads = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=self._count, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            if line.strip().isdigit():
                self.acknowledged.append(int(line))

    def _count(self):
        for line in self.process.stderr:
            self.failures.append(line.strip())

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


class RawWriter:
    """A program that speaks HTTP to the socket itself and tries nothing twice: one connection for each write, or a kept one.

    Only what the daemon cannot help is no failure: a connection on which the question came late. A kept one is left when the
    daemon says `connection: close`."""

    # Seconds in which a request follows its connection, or the beginning of the request before it, which is earlier than the
    # daemon begins to count. The daemon's patience is 250 ms and 20 ms.
    FIRST, NEXT = 0.15, 0.015

    def __init__(self, host, prefix, is_kept):
        self.path = f"/proc/{host.leader()}/root{SOCKET}"
        self.prefix, self.is_kept = prefix, is_kept
        self.acknowledged, self.failures, self.late = [], [], 0
        self.is_over = False
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(self.path)
        return connection

    def _write(self):
        connection, since, patience, number = None, 0.0, 0.0, 0
        while not self.is_over:
            try:
                if connection is None:
                    connection = self._connect()
                    since, patience = time.monotonic(), self.FIRST
                asked = time.monotonic()
                head, took = self._ask(connection, number, since)
            except OSError as error:
                self.failures.append(repr(error))
                connection = None
                time.sleep(0.02)
                continue
            if head.startswith("HTTP/1.1 200"):
                self.acknowledged.append(number)
                number += 1
            elif not head and took > patience:
                self.late += 1
            else:
                self.failures.append(head[:200] or f"closed without an answer, asked after {took:.3f} s")
            since, patience = asked, self.NEXT
            if not self.is_kept or not head or "connection: close" in head.lower():
                connection.close()
                connection = None
            # So that the store does not become another one by this; on a kept connection in bursts.
            if not self.is_kept or number % 8 == 0:
                time.sleep(0.03 if self.is_kept else 0.005)
        if connection:
            connection.close()

    def _ask(self, connection, number, since):
        """The answer's head, empty when there was none; and how long the question took to be sent since `since`."""
        value = f"value-{number}"
        kept = "" if self.is_kept else "connection: close\r\n"
        question = (f"PUT /v1/kv/{self.prefix}/{number} HTTP/1.1\r\nhost: gossipd\r\n{kept}"
                    f"content-length: {len(value)}\r\n\r\n{value}").encode()
        try:
            connection.sendall(question)
            took = time.monotonic() - since
        except (BrokenPipeError, ConnectionResetError):
            return "", time.monotonic() - since
        answer = b""
        try:
            while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
                answer += piece
            head, _, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(body) < int(length[1]) and (piece := connection.recv(65536)):
                body += piece
        except ConnectionResetError:
            return "", took
        return head.decode(), took

    def stop(self):
        """Ends it and returns the acknowledged numbers."""
        self.is_over = True
        self.thread.join(60)
        require(not self.thread.is_alive(), f"the writer of {self.prefix} waits still")
        return list(self.acknowledged)


class Load:
    """Writers of every kind on one host; `finish` demands that none failed and nothing that was acknowledged is missing."""

    def __init__(self, host, name, raw=True):
        self.host = host
        self.writers = [Writer(host, f"{name}-a"), Writer(host, f"{name}-b")]
        if raw:
            self.writers += [RawWriter(host, f"{name}-raw", False), RawWriter(host, f"{name}-kept", True)]
        wait(lambda: all(len(writer.acknowledged) >= 3 for writer in self.writers), "every writer writes")

    def finish(self):
        """How many writes there were, in words."""
        for writer in self.writers:
            before = len(writer.acknowledged)
            wait(lambda writer=writer, before=before: len(writer.acknowledged) > before, f"{writer.prefix} goes on")
        counts, late = [], 0
        for writer in self.writers:
            numbers = writer.stop()
            require(not writer.failures, f"{writer.prefix}: {len(writer.failures)} writes failed: {writer.failures[:3]}")
            lost = missing(self.host, writer.prefix, numbers)
            require(not lost, f"{writer.prefix}: {len(lost)} acknowledged writes are missing: {lost[:5]}")
            counts.append(len(numbers))
            late += getattr(writer, "late", 0)
        return f"{sum(counts)} writes ({' + '.join(map(str, counts))}), none failed, none lost; {late} asked too late"


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
