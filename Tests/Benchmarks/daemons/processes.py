# SPDX-License-Identifier: Apache-2.0
"""Owns child processes: free ports, log lines with their time of arrival, memory and CPU from /proc, the end."""

import os
import selectors
import socket
import subprocess
import threading
import time


def free_ports(count):
    """Ports of 127.0.0.1 that are free for UDP and TCP."""
    held, ports = [], []
    while len(ports) < count:
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held += [tcp, udp]
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            continue
        ports.append(tcp.getsockname()[1])
    for one in held:
        one.close()
    return ports


class LogReader(threading.Thread):
    """Reads the logs of all processes; `wait` returns when its condition holds for the lines so far."""

    def __init__(self):
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()
        self.news = threading.Condition()
        self.lines = []  # (time, process, text)
        self.start()

    def add(self, process, stream):
        os.set_blocking(stream.fileno(), False)
        self.selector.register(stream, selectors.EVENT_READ, [process, b""])

    def run(self):
        while True:
            for key, _ in self.selector.select(0.2):
                data = os.read(key.fd, 65536)
                now = time.monotonic()
                if not data:
                    self.selector.unregister(key.fileobj)
                    continue
                process, rest = key.data
                *whole, key.data[1] = (rest + data).split(b"\n")
                with self.news:
                    self.lines += [(now, process, line.decode(errors="replace")) for line in whole]
                    self.news.notify_all()

    def mark(self):
        with self.news:
            return len(self.lines)

    def first(self, mark, wanted, match, timeout):
        """The time at which each process in `wanted` logged the first line since `mark` that matches."""
        seen, position, deadline = {}, mark, time.monotonic() + timeout
        with self.news:
            while True:
                for when, process, text in self.lines[position:]:
                    if process in wanted and process not in seen and match(text):
                        seen[process] = when
                position = len(self.lines)
                if len(seen) == len(wanted):
                    return seen
                if not self.news.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise TimeoutError(f"{sorted(set(wanted) - set(seen))} did not log it within {timeout} s")


class Process:
    """One daemon."""

    def __init__(self, name, command, reader, environment=None):
        self.name = name
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})})
        self.pid = self.child.pid
        reader.add(name, self.child.stdout)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def memory(self):
        """Resident, proportional and private memory in bytes."""
        fields = {}
        with open(f"/proc/{self.pid}/smaps_rollup") as file:
            for line in file:
                parts = line.split()
                if parts[-1] == "kB":
                    fields[parts[0]] = int(parts[1]) * 1024
        return {
            "rss": fields["Rss:"], "pss": fields["Pss:"],
            "private": fields["Private_Clean:"] + fields["Private_Dirty:"]}

    def cpu(self):
        """CPU seconds so far, those of threads that have ended included; exact to two ticks of 10 ms."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def sleeps(self):
        """How often each thread went to sleep so far, by its id: as often it is woken."""
        counts = {}
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/status") as file:
                counts[task] = sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
        return counts


def wakeups(before, after):
    """Times that threads were woken in between; those of threads that have ended since are not known."""
    return sum(count - before.get(task, 0) for task, count in after.items())
