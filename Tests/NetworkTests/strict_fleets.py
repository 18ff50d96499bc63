# SPDX-License-Identifier: Apache-2.0
"""Owns groups that keep keys linearizable, one process in each namespace: gossipd, and etcd to try the tests themselves on."""

import http.client
import json
import os
import time

from agents import Fleet, Gossipd
from bridge import run
from strict_api import GossipdKeys, EtcdKeys

# Nodes beside the voters: gossipd's clients of the group. For etcd the first of them is where the test's clients are.
CLIENTS = 2
ETCD_CLIENT, ETCD_PEER = 2379, 2380


def eventually(what, condition, timeout):
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.05)


class SmallDisk:
    """Gives one node a small file system of its own for its data."""

    small_disk = None
    small_size = "64m"

    def limit_disk(self, name):
        os.makedirs(self.data(name), mode=0o700)
        run(["mount", "-t", "tmpfs", "-o", f"size={self.small_size},mode=700", "strict-test", self.data(name)])
        self.small_disk = name

    def stop(self):
        for process in self.processes.values():
            process.kill()
        if self.small_disk:
            run(["umount", self.data(self.small_disk)])
            self.small_disk = None
        super().stop()


class StrictGossipd(SmallDisk, Gossipd):
    title = "gossipd, strict keys"
    kind = "gossipd"

    def __init__(self, bridge, programs, keyed=True):
        super().__init__(bridge, programs, keyed)
        self.voters = self.names[:-CLIENTS]
        # Who takes calls.
        self.serving = self.names
        names = ", ".join(f'"{name}"' for name in self.voters)
        self.settings += f'\n[strict]\nprefixes = ["strict/"]\nvoters = [{names}]\n'

    def form(self, timeout=60):
        super().form(timeout)
        eventually("a leader is known everywhere", self.agreed_leader, 30)

    def endpoints(self):
        """What the test's clients connect to."""
        return [self.socket(name) for name in self.names]

    def keys(self, name, timeout=5, consistency=None):
        return GossipdKeys(self.socket(name), timeout, consistency)

    def client_command(self, command):
        """Sockets in the file system are there in every namespace."""
        return command

    def strict_status(self, name):
        """None when it does not answer."""
        try:
            return self.client(name).json("/v1/status")["strict"]
        except (OSError, RuntimeError, ValueError, KeyError):
            client = self.clients.pop(name, None)
            if client:
                client.close()
            return None

    def leader(self, among=None):
        """Who says of itself that it leads, in the highest term."""
        found = []
        for name in among or self.voters:
            if name in self.processes:
                status = self.strict_status(name)
                if status and status["role"] == "leader":
                    found.append((status["term"], name))
        return max(found)[1] if found else None

    def agreed_leader(self):
        told = {(self.strict_status(name) or {}).get("leader") for name in self.names}
        return told.pop() if len(told) == 1 and None not in told else None

    def resume(self, name):
        self.launch(name, self.others(name)[0])


class StrictEtcd(SmallDisk, Fleet):
    title = "etcd"
    kind = "etcd"
    # It makes room for its log ahead.
    small_size = "400m"

    def __init__(self, bridge, programs, keyed=False):
        super().__init__(bridge, programs, False)
        self.voters = self.serving = self.names[:-CLIENTS]

    def command(self, name, seed):
        address = self.address(name)
        cluster = ",".join(f"{one}=http://{self.address(one)}:{ETCD_PEER}" for one in self.voters)
        return [
            "etcd", "--name", name, "--data-dir", os.path.join(self.folder, name), "--log-level", "error",
            "--listen-client-urls", f"http://{address}:{ETCD_CLIENT}",
            "--advertise-client-urls", f"http://{address}:{ETCD_CLIENT}",
            "--listen-peer-urls", f"http://{address}:{ETCD_PEER}",
            "--initial-advertise-peer-urls", f"http://{address}:{ETCD_PEER}", "--initial-cluster", cluster]

    def data(self, name):
        return os.path.join(self.folder, name)

    @classmethod
    def parse(cls, text):
        return None

    def form(self, timeout=60):
        for name in self.voters:
            self.launch(name)
        eventually("etcd has a leader", self.leader, timeout)

    def endpoints(self):
        return [f"{self.address(name)}:{ETCD_CLIENT}" for name in self.voters]

    def client_command(self, command):
        return self.bridge.command(len(self.voters) + 1, command)

    def keys(self, name, timeout=5, consistency=None):
        keys = EtcdKeys(f"{self.address(name)}:{ETCD_CLIENT}", timeout, consistency)
        keys.connection.make = lambda: self.tunnel(name, timeout)
        return keys

    def tunnel(self, name, timeout):
        """A connection from within the node's own namespace."""
        connection = http.client.HTTPConnection(self.address(name), ETCD_CLIENT, timeout=timeout)
        made = self.bridge.connect(self.host(name), ETCD_CLIENT)
        made.settimeout(timeout)
        connection.connect = lambda: setattr(connection, "sock", made)
        return connection

    def strict_status(self, name):
        try:
            connection = self.tunnel(name, 1)
            connection.connect()
            connection.request("POST", "/v3/maintenance/status", b"{}")
            status = json.loads(connection.getresponse().read())
            connection.close()
            leads = "leader" in status and status["leader"] == status["header"]["member_id"]
            return {"role": "leader" if leads else "follower", "term": int(status.get("raftTerm", 0))}
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None

    def leader(self, among=None):
        found = []
        for name in among or self.voters:
            if name in self.processes:
                status = self.strict_status(name)
                if status and status["role"] == "leader":
                    found.append((status["term"], name))
        return max(found)[1] if found else None

    def resume(self, name):
        self.launch(name)


FLEETS = {"gossipd": StrictGossipd, "etcd": StrictEtcd}
