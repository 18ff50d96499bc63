# SPDX-License-Identifier: Apache-2.0
"""Owns one etcd on loopback with its data on the disk that gossipd is measured on."""

import http.client
import os
import shutil
import subprocess
import time

from processes import Process, free_ports


def version():
    """What etcd calls itself, or None where it is not installed."""
    if not shutil.which("etcd"):
        return None
    answer = subprocess.run(["etcd", "--version"], capture_output=True, text=True)
    return answer.stdout.split("\n")[0].removeprefix("etcd Version: ") or "of unknown version"


class Node:
    title = "etcd"

    def __init__(self, folder, reader):
        self.folder = os.path.join(folder, "etcd")
        client, peer = free_ports(2)
        self.port = client
        self.command = [
            "etcd", "--name", "e1", "--data-dir", self.folder, "--log-level", "error",
            "--quota-backend-bytes", str(8 << 30),
            "--listen-client-urls", f"http://127.0.0.1:{client}",
            "--advertise-client-urls", f"http://127.0.0.1:{client}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", f"e1=http://127.0.0.1:{peer}"]
        self.reader = reader
        self.process = None

    @property
    def target(self):
        return f"tcp:127.0.0.1:{self.port}"

    def start(self):
        """Seconds until it says that it is healthy."""
        begin = time.monotonic()
        self.process = Process("etcd", self.command, self.reader)
        while True:
            if self.process.child.poll() is not None:
                raise RuntimeError("etcd did not start")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
                connection.request("GET", "/health")
                if b'"true"' in connection.getresponse().read():
                    return time.monotonic() - begin
            except OSError:
                pass
            if time.monotonic() - begin > 60:
                raise TimeoutError("etcd is not healthy after 60 s")
            time.sleep(0.02)

    def stop(self):
        if self.process:
            self.process.kill()
