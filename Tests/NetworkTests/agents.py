# SPDX-License-Identifier: Apache-2.0
"""Owns fleets of agents, one in each namespace of a `Bridge`: gossipd, and Serf with its LAN profile."""

import base64
import json
import os
import re
import selectors
import shutil
import signal
import tempfile
import time

import admin
import serf as loopback_serf
from processes import LogReader, Process
from watcher import Watcher

PORT = 7946
SERF_RPC = 7373


class Fleet:
    """`names[i]` lives on host i + 1. A subclass gives `command`, `parse` and `announce`."""

    title = ""

    def __init__(self, bridge, programs, keyed=True):
        """`keyed`: all have one key, new in each run, and seal what they send."""
        self.bridge = bridge
        self.programs = programs
        self.key = base64.b64encode(os.urandom(32)).decode() if keyed else None
        self.folder = tempfile.mkdtemp(prefix="gossipd-net.")
        self.names = [f"n{host}" for host in range(1, bridge.count + 1)]
        self.reader = LogReader()
        self.watcher = Watcher(self.reader, self.parse)
        self.processes = {}
        if not keyed:
            self.title += ", plain"

    def host(self, name):
        return self.names.index(name) + 1

    def address(self, name):
        return self.bridge.address(self.host(name))

    def endpoint(self, name):
        address = self.address(name)
        return f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"

    def launch(self, name, seed=None, **options):
        """`options` are those of `command`."""
        command = self.bridge.command(self.host(name), self.command(name, seed, **options))
        self.watcher.forget(name)
        self.processes[name] = Process(name, command, self.reader)

    def form(self, timeout=60):
        """Seconds from the last start until everybody has reported everybody."""
        mark = self.watcher.mark()
        for name in self.names:
            self.launch(name, None if name == self.names[0] else self.names[0])
            if name == self.names[0]:
                self.await_ready(name)
        started = time.monotonic()
        return max(started, self.watcher.settled(mark, self.pairs(), ("joined", "alive"), timeout)) - started

    def pairs(self, observers=None, members=None):
        return [(a, b) for a in observers or self.names for b in members or self.names if a != b]

    def others(self, *without):
        return [name for name in self.names if name not in without]

    def kill(self, name):
        """kill -9; `ip netns exec` becomes the agent itself, so this is its process."""
        self.processes.pop(name).kill()

    def signal(self, names, number):
        for name in names:
            os.kill(self.processes[name].pid, number)

    def failures(self, mark, of=None, by=None):
        """Reports of failures since `mark`, as (observer, member)."""
        return [(observer, member) for _, observer, _, member in self.watcher.since(mark, "failed")
                if (of is None or member in of) and (by is None or observer in by)]

    def stop(self):
        for process in self.processes.values():
            try:
                os.kill(process.pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
            process.kill()
        self.processes = {}
        shutil.rmtree(self.folder, ignore_errors=True)


class Gossipd(Fleet):
    title = "gossipd"
    KINDS = {
        "member_joined": "joined", "member_alive": "alive", "member_suspected": "suspected",
        "member_failed": "failed", "member_left": "left"}
    def __init__(self, bridge, programs, keyed=True):
        super().__init__(bridge, programs, keyed)
        self.clients = {}
        self.settings = "insecure = true\n"
        if keyed:
            path = os.path.join(self.folder, "keys")
            # Nobody but the owner may read it, else the daemon refuses it.
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(self.key + "\n")
            self.settings = f'key_file = "{path}"\n'

    def socket(self, name):
        return os.path.join(self.folder, f"{name}.sock")

    def data(self, name):
        return os.path.join(self.folder, name)

    def command(self, name, seed, called=None, data=None):
        """`called`: a name other than the host's; `data`: another data directory."""
        configuration = os.path.join(self.folder, f"{name}.toml")
        with open(configuration, "w") as file:
            file.write(self.settings)
        command = [
            os.path.join(self.programs, "gossipd"), "--config", configuration, "--name", called or name,
            "--bind", self.endpoint(name), "--log-format", "json",
            "--data-dir", data or self.data(name), "--socket", self.socket(name)]
        return command + (["--join", self.endpoint(seed)] if seed else [])

    @classmethod
    def parse(cls, text):
        if '"event":"member_' not in text:
            return None
        try:
            line = json.loads(text)
        except ValueError:
            return None
        kind = cls.KINDS.get(line.get("event"))
        return (kind, line.get("member")) if kind else None

    def restart(self, name):
        """As `systemctl restart` does it."""
        process, mark = self.processes[name], self.reader.mark()
        os.kill(process.pid, signal.SIGUSR2)
        process.child.wait(10)
        self.launch(name, next(iter(self.others(name))))
        self.await_ready(name, mark=mark)

    def await_ready(self, name, timeout=30, mark=0):
        self.reader.first(mark, [name], lambda text: '"event":"started"' in text, timeout)

    def kill(self, name):
        super().kill(name)
        client = self.clients.pop(name, None)
        if client:
            client.close()

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = admin.Client(self.socket(name))
        return self.clients[name]

    def announce(self, number):
        """Puts a key on one node; seconds until the watches of all nodes have shown it."""
        watches = {name: admin.Watch(self.socket(name), "bench") for name in self.names}
        try:
            writer = self.names[number % len(self.names)]
            value = f"announcement-{number:06}-" + "x" * 80
            time.sleep(0.1)
            begin = time.monotonic()
            status, body = self.client(writer).request("PUT", f"/v1/kv/bench/spread-{number}", value.encode())
            if status != 200:
                raise RuntimeError(f"put on {writer}: {status} {body[:200]!r}")
            return spread_over(watches, value.encode(), begin)
        finally:
            for watch in watches.values():
                watch.close()


def spread_over(watches, needle, begin):
    selector = selectors.DefaultSelector()
    for name, watch in watches.items():
        selector.register(watch, selectors.EVENT_READ, name)
    missing, rest, last = set(watches), dict.fromkeys(watches, b""), begin
    while missing:
        for key, _ in selector.select(1):
            rest[key.data] += key.fileobj.connection.recv(65536)
            if key.data in missing and needle in rest[key.data]:
                missing.discard(key.data)
                last = time.monotonic()
        if missing and time.monotonic() - begin > 30:
            raise TimeoutError(f"{sorted(missing)} did not show the change within 30 s")
    selector.close()
    return last - begin


class Serf(Fleet):
    title = "Serf"
    EVENT = re.compile(r"EventMember(Join|Failed|Leave): (\S+) ")
    KINDS = {"Join": "joined", "Failed": "failed", "Leave": "left"}

    def command(self, name, seed):
        command = [
            "serf", "agent", f"-node={name}", f"-bind={self.address(name)}:{PORT}",
            f"-rpc-addr={self.address(name)}:{SERF_RPC}", "-profile=lan", "-log-level=info",
            # What it remembers of its peers, so that a restarted agent finds them again.
            f"-snapshot={os.path.join(self.folder, name)}"]
        if self.key:
            command.append(f"-encrypt={self.key}")
        # With -join an agent ends when its first attempt fails, as it may right after its link has come up.
        return command + ([f"-retry-join={self.address(seed)}:{PORT}", "-retry-interval=2s"] if seed else [])

    @classmethod
    def parse(cls, text):
        # A suspicion that ends well leaves no line, so suspicions are not followed at all.
        found = cls.EVENT.search(text)
        return (cls.KINDS[found.group(1)], found.group(2)) if found else None

    def await_ready(self, name, timeout=30):
        self.reader.first(0, [name], lambda text: f"EventMemberJoin: {name} " in text, timeout)

    def announce(self, number):
        """Sends a user event to one agent; seconds until all have logged it (its event stream is late)."""
        writer = self.names[number % len(self.names)]
        connection = self.bridge.connect(self.host(writer), SERF_RPC)
        packed = loopback_serf.packed
        connection.sendall(packed({"Command": "handshake", "Seq": 0}) + packed({"Version": 1}))
        connection.recv(4096)
        mark, name = self.reader.mark(), f"announcement-{number:06}"
        begin = time.monotonic()
        connection.sendall(
            packed({"Command": "event", "Seq": 1}) + packed({"Name": name, "Payload": "x" * 100, "Coalesce": False}))
        seen = self.reader.first(mark, self.names, lambda text: f"user-event: {name}" in text, 30)
        connection.close()
        return max(seen.values()) - begin
