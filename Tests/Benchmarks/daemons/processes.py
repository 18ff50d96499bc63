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

    def __init__(self, name, command, reader):
        self.name = name
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
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
        """CPU seconds so far: from the scheduler's nanoseconds, and from utime and stime, which count ticks."""
        exact = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat") as file:
                exact += int(file.read().split()[0])
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return exact / 1e9, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def switches(self):
        """Times that a thread went to sleep so far: how often the process is woken."""
        count = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/status") as file:
                count += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
        return count
