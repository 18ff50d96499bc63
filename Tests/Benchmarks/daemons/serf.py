# SPDX-License-Identifier: Apache-2.0
"""Owns a cluster of Serf on loopback, with its LAN profile. Its log is the witness: its event stream is late."""

import shutil
import socket
import subprocess
import time

from processes import Process, free_ports


def version():
    """What Debian calls the installed package, or None."""
    if not shutil.which("serf"):
        return None
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "serf"], capture_output=True, text=True)
    return query.stdout or "of unknown version"


def packed(value):
    """MessagePack of the few kinds of values that Serf's RPC needs."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xce" + value.to_bytes(4, "big")
    if isinstance(value, str):
        data = value.encode()
        return b"\xda" + len(data).to_bytes(2, "big") + data
    return bytes([0x80 | len(value)]) + b"".join(packed(key) + packed(item) for key, item in value.items())


class Cluster:
    title = "Serf"

    def __init__(self, programs, folder, nodes, reader):
        self.reader = reader
        self.names = [f"n{number + 1}" for number in range(nodes)]
        ports = free_ports(2 * nodes)
        self.ports = dict(zip(self.names, ports))
        self.rpc = dict(zip(self.names, ports[nodes:]))
        self.processes = {}

    def launch(self, name, seed=None):
        command = [
            "serf", "agent", f"-node={name}", f"-bind=127.0.0.1:{self.ports[name]}",
            f"-rpc-addr=127.0.0.1:{self.rpc[name]}", "-profile=lan", "-log-level=info"]
        if seed:
            command.append(f"-join=127.0.0.1:{self.ports[seed]}")
        self.processes[name] = Process(name, command, self.reader)

    def form(self):
        """Seconds from the last start until every node has logged that all joined."""
        mark = self.reader.mark()
        for name in self.names:
            self.launch(name, None if name == self.names[0] else self.names[0])
            if name == self.names[0]:
                # Serf's agent ends when its seed does not answer.
                self.reader.first(mark, [name], lambda text: "EventMemberJoin: " in text, 30)
        started = time.monotonic()
        last = started
        for name in self.names:
            seen = self.reader.first(mark, self.names, lambda text: f"EventMemberJoin: {name} " in text, 30)
            last = max(last, *seen.values())
        return last - started

    def counters(self):
        return None

    def kill(self, name):
        survivors = [other for other in self.names if other != name]
        mark = self.reader.mark()
        begin = time.monotonic()
        self.processes[name].kill()
        seen = self.reader.first(mark, survivors, lambda text: f"EventMemberFailed: {name} " in text, 90)
        return max(seen.values()) - begin

    def restart(self, name):
        survivors = [other for other in self.names if other != name]
        mark = self.reader.mark()
        self.launch(name, survivors[0])
        self.reader.first(mark, survivors, lambda text: f"EventMemberJoin: {name} " in text, 90)
        time.sleep(2)

    def spread(self, trials):
        """Seconds of each trial from sending a user event to one agent until all have logged it."""
        times = []
        for trial in range(trials):
            writer = self.names[trial % len(self.names)]
            connection = socket.create_connection(("127.0.0.1", self.rpc[writer]))
            connection.sendall(packed({"Command": "handshake", "Seq": 0}) + packed({"Version": 1}))
            connection.recv(4096)
            name = f"trial-{trial:06}"
            mark = self.reader.mark()
            begin = time.monotonic()
            connection.sendall(
                packed({"Command": "event", "Seq": 1})
                + packed({"Name": name, "Payload": "x" * 100, "Coalesce": False}))
            seen = self.reader.first(mark, self.names, lambda text: f"user-event: {name}" in text, 30)
            times.append(max(seen.values()) - begin)
            connection.close()
            time.sleep(0.05)
        return times

    def latencies(self, puts, reads):
        return None

    def stop(self):
        for process in self.processes.values():
            process.kill()
