# SPDX-License-Identifier: Apache-2.0
"""Owns the groups of three on loopback whose linearizable keys are measured: gossipd and etcd, in one shape."""

import http.client
import json
import os

import gossipd
from processes import Process, free_ports
from strict_api import EtcdKeys, GossipdKeys

MEMBERS = 3


class Gossipd:
    title = "gossipd"
    api = "gossipd-calls"

    def __init__(self, programs, folder, reader):
        self.cluster = gossipd.Cluster(programs, folder, MEMBERS, reader)
        self.cluster.configuration = os.path.join(folder, "strict.toml")
        with open(self.cluster.configuration, "w") as file:
            file.write(f'[strict]\nprefixes = ["strict/"]\nvoters = {MEMBERS}\n')
        self.names = self.cluster.names
        self.processes = self.cluster.processes

    def start(self):
        self.cluster.form()
        # The daemon serves 256 connections at a time, and the generator wants all of them.
        for name in list(self.cluster.clients):
            self.cluster.clients.pop(name).close()

    def restart(self, name):
        self.cluster.launch(name)

    def target(self, name):
        return "unix:" + self.cluster.socket(name)

    def keys(self, name, timeout):
        return GossipdKeys(self.cluster.socket(name), timeout)

    def status(self, name):
        """Who leads in the node's eyes, and the last index that is committed; None: it does not answer."""
        keys = self.keys(name, 1)
        try:
            _, body = keys.connection.ask("GET", "/v1/status")
            strict = json.loads(body)["strict"]
            return (strict["leader"], strict.get("commit") or 0) if strict else (None, 0)
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None
        finally:
            keys.close()

    def stop(self):
        self.cluster.stop()


class Etcd:
    title = "etcd"
    api = "etcd-grpc"

    def __init__(self, folder, reader):
        self.folder = os.path.join(folder, "etcd")
        self.reader = reader
        self.names = [f"e{number + 1}" for number in range(MEMBERS)]
        ports = free_ports(2 * MEMBERS)
        self.clients = dict(zip(self.names, ports))
        self.peers = dict(zip(self.names, ports[MEMBERS:]))
        self.processes = {}
        self.ids = {}

    def restart(self, name):
        client, peer = f"http://127.0.0.1:{self.clients[name]}", f"http://127.0.0.1:{self.peers[name]}"
        cluster = ",".join(f"{one}=http://127.0.0.1:{self.peers[one]}" for one in self.names)
        # Its own defaults otherwise: a heartbeat of 100 ms and elections after 1 s.
        self.processes[name] = Process(name, [
            "etcd", "--name", name, "--data-dir", os.path.join(self.folder, name), "--log-level", "error",
            "--quota-backend-bytes", str(8 << 30), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster], self.reader)

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        for name in self.names:
            self.restart(name)

    def target(self, name):
        return f"tcp:127.0.0.1:{self.clients[name]}"

    def keys(self, name, timeout):
        return EtcdKeys(f"127.0.0.1:{self.clients[name]}", timeout)

    def status(self, name):
        keys = self.keys(name, 1)
        try:
            _, body = keys.connection.ask("POST", "/v3/maintenance/status", b"{}")
            status = json.loads(body)
            self.ids[status["header"]["member_id"]] = name
            return self.ids.get(status.get("leader")), int(status.get("raftIndex", 0))
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None
        finally:
            keys.close()

    def stop(self):
        for process in self.processes.values():
            process.kill()
