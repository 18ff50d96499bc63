# SPDX-License-Identifier: Apache-2.0
"""Owns hosts in network namespaces on one bridge without an uplink: nothing that is sent here can leave this machine."""

import ctypes
import ipaddress
import json
import os
import socket
import subprocess

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
# RFC 2544 section 12.6.1: the block for benchmarks of networks.
NETWORK = ipaddress.ip_network("198.18.0.0/16")


def run(command, script=None):
    done = subprocess.run(command, input=script, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def ip_batch(lines, namespace=None):
    run(["ip"] + (["-n", namespace] if namespace else []) + ["-batch", "-"], "\n".join(lines) + "\n")


def missing_tools():
    """What this machine lacks for hosts of our own, as a sentence, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if subprocess.run(["which", tool], capture_output=True).returncode:
            return f"there is no {tool}: apt-get install {package}"
    return None


def enter(namespace):
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    finally:
        os.close(descriptor)


class Bridge:
    """Hosts 1...count; host i has the address `address(i)` on `eth0` in its own namespace."""

    network = NETWORK

    def __init__(self, count):
        self.count = count
        # Hosts that have another address than their number tells.
        self.moved = {}
        self.prefix = f"gd{os.getpid()}"
        self.hub = f"{self.prefix}-hub"
        self.made = []

    def namespace(self, host):
        return f"{self.prefix}-n{host}"

    def address(self, host):
        return str(self.network.network_address + self.moved.get(host, host))

    def address_line(self, host):
        """What `ip -batch` takes to give a host its address."""
        return f"addr add {self.address(host)}/{self.network.prefixlen} dev eth0"

    def move(self, host):
        """Gives a host an address that nobody has had."""
        ip_batch(["addr flush dev eth0"], self.namespace(host))
        self.moved[host] = 1000 + host
        ip_batch([self.address_line(host)], self.namespace(host))

    def command(self, host, command):
        return ["ip", "netns", "exec", self.namespace(host)] + command

    def up(self):
        for name in [self.hub] + [self.namespace(host) for host in range(1, self.count + 1)]:
            run(["ip", "netns", "add", name])
            self.made.append(name)
        # Snooping would keep multicast and the first seconds of IPv6 from getting through; nothing here needs it.
        lines = ["link set lo up", "link add br0 type bridge mcast_snooping 0", "link set br0 up"]
        for host in range(1, self.count + 1):
            lines.append(f"link add v{host} type veth peer name eth0 netns {self.namespace(host)}")
            lines.append(f"link set v{host} master br0 up")
        ip_batch(lines, self.hub)
        for host in range(1, self.count + 1):
            ip_batch(
                ["link set lo up", self.address_line(host), "link set eth0 up"], self.namespace(host))

    def down(self):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        self.made = []

    def set_link(self, host, state):
        """Pulls the cable of a host, or puts it back: the host itself notices nothing but silence."""
        ip_batch([f"link set v{host} {state}"], self.hub)

    def filter(self, table, rules):
        """Replaces the rules that decide what the bridge forwards; no rules: all."""
        body = "".join(f"    {rule}\n" for rule in rules)
        chain = f"  chain c {{\n    type filter hook forward priority 0; policy accept;\n{body}  }}\n" if rules else ""
        run(["ip", "netns", "exec", self.hub, "nft", "-f", "-"],
            f"table bridge {table}\ndelete table bridge {table}\ntable bridge {table} {{\n{chain}}}\n")

    def split(self, *groups):
        """Nothing passes between the groups; no groups: all passes again."""
        rules = []
        for group in groups:
            others = [host for other in groups if other is not group for host in other]
            rules.append(f"iifname {ports(group)} oifname {ports(others)} drop")
        self.filter("split", rules)

    def cut_one_way(self, sources, targets):
        self.filter("oneway", [f"iifname {ports(sources)} oifname {ports(targets)} drop"] if sources else [])

    def lose_datagrams(self, percent):
        """Loses that share of all UDP datagrams, at random."""
        rule = f"ether type ip ip protocol udp numgen random mod 1000 < {round(percent * 10)} drop"
        self.filter("loss", [rule] if percent else [])

    def block_datagrams(self, host):
        """No UDP from or to that host, all else passes; None: all passes again."""
        rules = [f"{way} v{host} ether type ip ip protocol udp drop" for way in ("iifname", "oifname")]
        self.filter("noudp", rules if host else [])

    def count_datagrams(self):
        """Counts from now on what `datagram_bytes` tells."""
        self.filter("count", ["ether type ip ip protocol udp counter"])

    def datagram_bytes(self):
        """Bytes of all UDP datagrams that hosts sent to each other, with their IP and UDP headers."""
        listing = run(["ip", "netns", "exec", self.hub, "nft", "-j", "list", "table", "bridge", "count"])
        rules = [entry["rule"] for entry in json.loads(listing)["nftables"] if "rule" in entry]
        return sum(part["counter"]["bytes"] for rule in rules for part in rule["expr"] if "counter" in part)

    def connect(self, host, port):
        """A TCP connection made inside a host's namespace to its own address."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            enter(self.namespace(host))
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            libc.setns(own, CLONE_NEWNET)
            os.close(own)
        connection.connect((self.address(host), port))
        return connection

    def sent(self, host):
        """Bytes and packets that a host has sent, with the 14 bytes of their Ethernet headers."""
        folder = "/sys/class/net/eth0/statistics"
        text = run(self.command(host, ["cat", f"{folder}/tx_bytes", f"{folder}/tx_packets"]))
        return tuple(int(line) for line in text.split())


class Bridge6(Bridge):
    """The same hosts with IPv6 addresses only."""

    # RFC 5180 section 8: the block for benchmarks of IPv6.
    network = ipaddress.ip_network("2001:2::/48")

    def address_line(self, host):
        # Without the second in which the kernel looks for another host of that address.
        return super().address_line(host) + " nodad"


def ports(hosts):
    return "{ " + ", ".join(f'"v{host}"' for host in hosts) + " }"
