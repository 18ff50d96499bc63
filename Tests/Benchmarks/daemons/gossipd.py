# SPDX-License-Identifier: Apache-2.0
"""Owns a cluster of gossipd on loopback."""

import json
import os
import selectors
import time

import admin
from processes import Process, free_ports


def event(kind, name):
    """Matches the JSON log line of a member's event."""
    def matches(text):
        if kind not in text:
            return False
        try:
            line = json.loads(text)
        except ValueError:
            return False
        return line.get("event") == kind and line.get("member") == name
    return matches


class Cluster:
    title = "gossipd"

    def __init__(self, programs, folder, nodes, reader):
        self.program = os.path.join(programs, "gossipd")
        self.folder = folder
        self.reader = reader
        self.names = [f"n{number + 1}" for number in range(nodes)]
        self.ports = dict(zip(self.names, free_ports(nodes)))
        self.processes = {}
        self.clients = {}
        # A configuration file for all, and what some find in their environment, by name.
        self.configuration = None
        self.environments = {}

    def socket(self, name):
        return os.path.join(self.folder, f"{name}.sock")

    def launch(self, name, seed=None):
        command = [
            self.program, "--name", name, "--bind", f"127.0.0.1:{self.ports[name]}", "--log-format", "json",
            "--data-dir", os.path.join(self.folder, name), "--socket", self.socket(name)]
        if seed:
            command += ["--join", f"127.0.0.1:{self.ports[seed]}"]
        if self.configuration:
            command += ["--config", self.configuration]
        self.processes[name] = Process(name, command, self.reader, self.environments.get(name))

    def form(self):
        """Seconds from the last start until every node sees all; asked over the admin sockets."""
        for name in self.names:
            self.launch(name, None if name == self.names[0] else self.names[0])
        started = time.monotonic()
        waiting = list(self.names)
        while waiting:
            if time.monotonic() - started > 30:
                raise TimeoutError(f"{waiting} do not see all members after 30 s")
            waiting = [name for name in waiting if not self.sees_all(name)]
            time.sleep(0.002)
        return time.monotonic() - started

    def sees_all(self, name):
        try:
            if name not in self.clients:
                self.clients[name] = admin.Client(self.socket(name))
            return self.clients[name].json("/v1/status")["members"]["alive"] == len(self.names)
        except (FileNotFoundError, ConnectionError):
            self.clients.pop(name, None)
            return False

    def counters(self):
        """UDP datagrams and payload bytes sent by all nodes, and bytes on their streams, as they count themselves."""
        packets = payload = streams = 0
        for name in self.names:
            samples = self.clients[name].metrics()
            packets += samples['gossipd_datagrams_total{direction="sent"}']
            payload += samples['gossipd_datagram_bytes_total{direction="sent"}']
            streams += samples['gossipd_stream_bytes_total{direction="sent"}']
        return packets, payload, streams

    def kill(self, name):
        """Seconds from kill -9 until every survivor has logged the failure."""
        survivors = [other for other in self.names if other != name]
        mark = self.reader.mark()
        begin = time.monotonic()
        self.processes[name].kill()
        seen = self.reader.first(mark, survivors, event("member_failed", name), 60)
        return max(seen.values()) - begin

    def restart(self, name):
        survivors = [other for other in self.names if other != name]
        mark = self.reader.mark()
        self.clients.pop(name).close()
        # It finds the cluster again by itself.
        self.launch(name)
        self.reader.first(mark, survivors, event("member_alive", name), 60)
        deadline = time.monotonic() + 30
        while not self.sees_all(name):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} does not see all members again")
            time.sleep(0.02)

    def spread(self, trials):
        """Seconds of each trial from sending a put to one node until all nodes' watches showed it."""
        watches = {name: admin.Watch(self.socket(name), "bench") for name in self.names}
        selector = selectors.DefaultSelector()
        for name, watch in watches.items():
            selector.register(watch, selectors.EVENT_READ, name)
        time.sleep(0.2)
        times = []
        for trial in range(trials):
            writer = self.names[trial % len(self.names)]
            value = f"trial-{trial:06}-" + "x" * 87
            begin = time.monotonic()
            status, body = self.clients[writer].request("PUT", f"/v1/kv/bench/spread-{trial}", value.encode())
            if status != 200:
                raise RuntimeError(f"put: {status} {body[:200]!r}")
            missing, rest, last = set(self.names), {}, begin
            while missing:
                for key, _ in selector.select(5):
                    rest[key.data] = rest.get(key.data, b"") + key.fileobj.connection.recv(65536)
                    if value.encode() in rest[key.data] and key.data in missing:
                        missing.discard(key.data)
                        last = time.monotonic()
                if time.monotonic() - begin > 30:
                    raise TimeoutError(f"{sorted(missing)} did not see the change within 30 s")
            times.append(last - begin)
            time.sleep(0.05)
        for watch in watches.values():
            watch.close()
        return times

    def latencies(self, puts, reads):
        """Seconds of each put and each read, one after the other on one connection."""
        client = self.clients[self.names[0]]
        result = []
        for count, method, body in ((puts, "PUT", b"x" * 100), (reads, "GET", b"")):
            times = []
            for number in range(count):
                begin = time.perf_counter()
                status, _ = client.request(method, f"/v1/kv/bench/latency-{number % 100}", body)
                times.append(time.perf_counter() - begin)
                if status != 200:
                    raise RuntimeError(f"{method}: {status}")
            result.append(times)
        return result

    def stop(self):
        for client in self.clients.values():
            client.close()
        for process in self.processes.values():
            process.kill()
