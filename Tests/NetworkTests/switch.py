# SPDX-License-Identifier: Apache-2.0
"""Owns hosts in network namespaces on a switch in user space, which delays, loses, doubles, reorders and damages frames.

The kernel's netem is not everywhere; this needs only tap devices. As a module: `Switch`. As a program: the switch itself,
which `Switch` starts: it takes one JSON command a line on standard input and ends when that is closed."""

import collections
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

from bridge import Bridge, enter, ip_batch, libc, CLONE_NEWNET, NETWORK, run

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
# Frames that wait at most: beyond that the switch would only make things later and later.
WAITING_MAX = 100_000
FAULTS = ("delay", "jitter", "loss", "duplicate", "reorder", "damage")


class Switch(Bridge):
    """The same hosts as on a bridge. Faults are shares of frames, or seconds for `delay` and `jitter`."""

    def __init__(self, count, seed=1):
        super().__init__(count)
        self.seed = seed
        self.process = None

    def up(self):
        for host in range(1, self.count + 1):
            run(["ip", "netns", "add", self.namespace(host)])
            self.made.append(self.namespace(host))
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.abspath(__file__), self.prefix, str(self.count), str(self.seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the switch did not come up")

    def down(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(10)
        super().down()

    def tell(self, **command):
        """Carried out when this returns."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def set_faults(self, **faults):
        """On every link; without arguments: none."""
        unknown = set(faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"no such fault: {unknown}")
        self.tell(faults=faults)

    def cut_one_way(self, sources, targets):
        self.tell(cut=[[a, b] for a in sources for b in targets if a != b])

    def split(self, *groups):
        self.tell(cut=[[a, b] for one in groups for other in groups if one is not other for a in one for b in other])

    def counted(self):
        """Frames passed on, lost, doubled, damaged, cut."""
        return self.tell()


class Forwarder:
    """The switch itself."""

    def __init__(self, prefix, count, seed):
        self.random = random.Random(seed)
        self.faults = dict.fromkeys(FAULTS, 0)
        self.cut = set()
        self.counted = collections.Counter()
        self.waiting = []
        self.order = 0
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.taps = {}
        for host in range(1, count + 1):
            namespace = f"{prefix}-n{host}"
            enter(namespace)
            tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
            libc.setns(own, CLONE_NEWNET)
            # The last two bytes tell the host.
            mac = f"02:00:00:00:{host >> 8:02x}:{host & 255:02x}"
            address = NETWORK.network_address + host
            ip_batch(
                ["link set lo up", f"link set eth0 address {mac}", f"addr add {address}/{NETWORK.prefixlen} dev eth0",
                 "link set eth0 up"], namespace)
            self.taps[host] = tap
        self.hosts = {tap: host for host, tap in self.taps.items()}

    def serve(self):
        epoll = select.epoll()
        for tap in self.hosts:
            epoll.register(tap, select.EPOLLIN)
        epoll.register(0, select.EPOLLIN)
        print("ready", flush=True)
        rest = b""
        while True:
            timeout = max(0, self.waiting[0][0] - time.monotonic()) if self.waiting else -1
            for descriptor, _ in epoll.poll(timeout):
                if descriptor:
                    self.receive(descriptor)
                    continue
                data = os.read(0, 65536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                _, _, host, frame = heapq.heappop(self.waiting)
                self.deliver(host, frame)

    def obey(self, command):
        if "faults" in command:
            self.faults = dict.fromkeys(FAULTS, 0) | command["faults"]
        if "cut" in command:
            self.cut = {tuple(pair) for pair in command["cut"]}
        print(json.dumps(self.counted), flush=True)

    def receive(self, tap):
        source = self.hosts[tap]
        for _ in range(64):
            try:
                frame = os.read(tap, 65536)
            except BlockingIOError:
                return
            if frame[0] & 1:
                for host in self.taps:
                    if host != source:
                        self.forward(source, host, frame)
            else:
                host = frame[4] << 8 | frame[5]
                if host in self.taps:
                    self.forward(source, host, frame)

    def happens(self, fault):
        return self.faults[fault] and self.random.random() < self.faults[fault]

    def forward(self, source, host, frame):
        if (source, host) in self.cut:
            self.counted["cut"] += 1
            return
        if self.happens("loss"):
            self.counted["lost"] += 1
            return
        copies = 2 if self.happens("duplicate") else 1
        self.counted["doubled"] += copies - 1
        for _ in range(copies):
            delay = self.faults["delay"] + self.random.uniform(-1, 1) * self.faults["jitter"]
            if self.happens("reorder"):
                # Overtakes what waits.
                delay = 0
            if self.happens("damage"):
                frame = self.damaged(frame)
            if delay <= 0:
                self.deliver(host, frame)
            elif len(self.waiting) < WAITING_MAX:
                self.order += 1
                heapq.heappush(self.waiting, (time.monotonic() + delay, self.order, host, frame))

    def damaged(self, frame):
        """One bit behind the headers of a UDP datagram. IPv4 takes a checksum of zero for none, so that is set as well:
        else the host's own kernel would drop the datagram, and the daemon would not see the damage."""
        udp = 14 + (frame[14] & 15) * 4
        if frame[12:14] != b"\x08\x00" or frame[23] != 17 or len(frame) <= udp + 8:
            return frame
        frame = bytearray(frame)
        frame[udp + 6:udp + 8] = b"\0\0"
        frame[self.random.randrange(udp + 8, len(frame))] ^= 1 << self.random.randrange(8)
        self.counted["damaged"] += 1
        return bytes(frame)

    def deliver(self, host, frame):
        try:
            os.write(self.taps[host], frame)
            self.counted["passed"] += 1
        except OSError:
            self.counted["refused"] += 1


if __name__ == "__main__":
    Forwarder(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).serve()
