# SPDX-License-Identifier: Apache-2.0
"""Owns a small client of the admin API: one kept connection for requests, one for a watch."""

import json
import socket
import time

# The daemon closes a connection that has been quiet for a while: a new one is made before that.
QUIET_MAX = 10


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10)
    connection.connect(path)
    return connection


class Client:
    def __init__(self, path):
        self.path = path
        self.connection = connect(path)
        self.used = time.monotonic()
        self.rest = b""

    def request(self, method, target, body=b""):
        """Sends one request and returns the status and the body."""
        now = time.monotonic()
        if now - self.used > QUIET_MAX:
            self.connection.close()
            self.connection = connect(self.path)
        self.used = now
        head = f"{method} {target} HTTP/1.1\r\nHost: gossipd\r\nContent-Length: {len(body)}\r\n\r\n"
        self.connection.sendall(head.encode() + body)
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, _, rest = self.rest.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:"))
        self.rest = rest
        while len(self.rest) < length:
            self.fill()
        answer, self.rest = self.rest[:length], self.rest[length:]
        return int(lines[0].split()[1]), answer

    def fill(self):
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        self.rest += data

    def get(self, target):
        status, body = self.request("GET", target)
        if status != 200:
            raise RuntimeError(f"GET {target}: {status} {body[:200]!r}")
        return body

    def json(self, target):
        return json.loads(self.get(target))

    def metrics(self):
        """The samples of /metrics by name and labels."""
        samples = {}
        for line in self.get("/metrics").decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def close(self):
        self.connection.close()


class Watch:
    """The stream of changes below a prefix; lines are looked for as text."""

    def __init__(self, path, prefix):
        self.connection = connect(path)
        target = f"/v1/watch?prefix={prefix}"
        self.connection.sendall(f"GET {target} HTTP/1.1\r\nHost: gossipd\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.connection.recv(65536)
        if b" 200 " not in data.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"GET {target}: {data[:200]!r}")
        self.connection.setblocking(False)

    def fileno(self):
        return self.connection.fileno()

    def close(self):
        self.connection.close()
