# SPDX-License-Identifier: Apache-2.0
"""Owns the count of packets on loopback: the same count for every kind of daemon, IP and UDP/TCP headers included."""

import socket
import struct
import threading

ETH_P_IP = 0x0800
UDP, TCP = 17, 6


class Capture:
    """Counts packets sent from ports of 127.0.0.1 by listening to `lo`; needs root (CAP_NET_RAW)."""

    def __init__(self, ports):
        self.ports = set(ports)
        # A socket for one protocol sees only what comes in, so each packet on loopback counts once.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("lo", ETH_P_IP))
        self.socket.settimeout(0.2)
        self.packets = {UDP: 0, TCP: 0}
        self.bytes = {UDP: 0, TCP: 0}
        self.is_over = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over:
            try:
                data = self.socket.recv(64)
            except socket.timeout:
                continue
            if len(data) < 28:
                continue
            header, protocol = (data[0] & 15) * 4, data[9]
            if protocol not in self.bytes:
                continue
            source, target = struct.unpack_from("!HH", data, header)
            if source in self.ports or target in self.ports:
                self.packets[protocol] += 1
                self.bytes[protocol] += struct.unpack_from("!H", data, 2)[0]

    def finish(self):
        self.is_over = True
        self.thread.join()
        # How many the kernel had to drop for lack of room: then the count is too low.
        _, dropped = struct.unpack("II", self.socket.getsockopt(263, 6, 8))
        self.socket.close()
        return dropped


def start(ports):
    """A capture, or None where this user may not listen."""
    try:
        return Capture(ports)
    except PermissionError:
        return None
