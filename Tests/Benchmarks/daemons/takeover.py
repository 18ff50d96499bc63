# SPDX-License-Identifier: Apache-2.0
"""Owns the measurements of whole stores that are taken over: a reset from a peer, and a backup that is restored."""

import json
import os
import socket
import threading
import time

import admin

# As Packaging/gossipd.service says it.
WATCHDOG_SECONDS = 15
QUICK = '[store]\ncollection_grace = "2s"\ncollection_interval = "500ms"\n'


class Notifications(threading.Thread):
    """What a daemon says to its service manager, with the time of arrival."""

    def __init__(self, folder, name):
        super().__init__(daemon=True)
        path = os.path.join(folder, f"{name}.notify")
        if os.path.exists(path):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000)}
        self.seen = []
        self.start()

    def run(self):
        while True:
            data = self.socket.recv(8_192)
            now = time.monotonic()
            self.seen += [(now, line) for line in data.decode(errors="replace").splitlines()]

    def statuses(self, since):
        return [line[7:] for when, line in self.seen if when >= since and line.startswith("STATUS=")]

    def beats(self, since, until):
        return [when for when, line in self.seen if since <= when <= until and line == "WATCHDOG=1"]

    def longest_silence(self, since, until):
        """Seconds without WATCHDOG=1."""
        times = [since, *self.beats(since, until), until]
        return max(b - a for a, b in zip(times, times[1:]))


class Prober(threading.Thread):
    """Asks a node for its status without a pause to speak of: how long an answer takes, and what it says."""

    def __init__(self, path, process):
        super().__init__(daemon=True)
        self.path, self.process = path, process
        self.latencies = []  # (time, seconds)
        self.statuses = []  # (time, document)
        self.peak = 0
        self.isOver = False
        self.start()

    def run(self):
        client = None
        while not self.isOver:
            begin = time.monotonic()
            try:
                if client is None:
                    client = admin.Client(self.path)
                    client.connection.settimeout(120)
                self.statuses.append((begin, client.json("/v1/status")))
                self.latencies.append((begin, time.monotonic() - begin))
            except (FileNotFoundError, ConnectionError):
                client = None
            self.peak = max(self.peak, resident(self.process.pid))
            time.sleep(0.01)

    def end(self):
        self.isOver = True
        self.join()
        return max(took for _, took in self.latencies)

    def catch_ups(self):
        return [status["store"]["catch_up"] for _, status in self.statuses if status["store"].get("catch_up")]


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def await_that(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def settled(process, seconds, quiet=2.0):
    """The time since which a daemon has been doing nothing: rows are in memory long before they are on the disk."""
    deadline, since, last = time.monotonic() + seconds, time.monotonic(), process.cpu()
    while time.monotonic() - since < quiet:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{process.name} is still busy after {seconds} s")
        time.sleep(0.1)
        # Two ticks: an idle daemon takes far less in that time.
        if process.cpu() - last > 0.02:
            since, last = time.monotonic(), process.cpu()
    return since


def rows(client):
    return int(client.metrics()["gossipd_store_rows"])


def said(reader, mark, name, text):
    """The daemon's log lines since `mark` with this text."""
    with reader.news:
        return [line for _, process, line in reader.lines[mark:] if process == name and text in line]


def same_store(what, client, serving, seconds):
    """Raises unless both hold the same, so that no figure stands for another store than it says."""
    def roots():
        return client.json("/v1/status")["store"]["root"], serving.json("/v1/status")["store"]["root"]
    await_that(f"{what}: equal roots", seconds, lambda: len(set(roots())) == 1)


def measure_reset(cluster, limit, results):
    """The second node is forgotten while it is away, something is collected, and it comes back."""
    serving = cluster.clients["n1"]
    cluster.processes["n2"].kill()
    def is_failed():
        members = serving.json("/v1/members")["members"]
        return any(one["name"] == "n2" and one["state"] == "failed" for one in members)
    await_that("n2 is seen as failed", 60, is_failed)
    status, body = serving.request("DELETE", "/v1/members/n2")
    if status != 200:
        raise RuntimeError(f"forget: {status} {body[:200]!r}")
    before = rows(serving)
    status, body = serving.request("DELETE", "/v1/kv/during/0")
    if status != 200:
        raise RuntimeError(f"delete: {status} {body[:200]!r}")
    await_that("the delete is collected", 120, lambda: rows(serving) < before)
    notes = Notifications(cluster.folder, "n2")
    cluster.environments["n2"] = notes.environment
    mark, streams = cluster.reader.mark(), serving.metrics()
    cluster.launch("n2", "n1")
    process = cluster.processes["n2"]
    begin = time.monotonic()
    prober = Prober(cluster.socket("n2"), process)
    seen = cluster.reader.first(mark, ["n2"], lambda text: '"store_reset"' in text, limit)
    time.sleep(1)
    stall, took = prober.end(), seen["n2"] - begin
    sent = 'gossipd_stream_bytes_total{direction="sent"}'
    moved = serving.metrics()[sent] - streams[sent]
    client = admin.Client(cluster.socket("n2"))
    lag = client.metrics()["gossipd_loop_lag_max_seconds"]
    silence = notes.longest_silence(begin, time.monotonic())
    opened, told = (said(cluster.reader, mark, "n2", text) for text in ("the store is open", '"store_reset"'))
    held = int(opened[0].split("the store is open: ")[1].split(" ")[0]) if opened else 0
    if held < 0.9 * before:
        raise RuntimeError(f"n2 opened {held} of about {before} keys: that is not the reset of a full store")
    same_store("reset", client, serving, 30)
    moment = json.loads(told[0])["message"]
    print(f"\nReset of a node that opened {held} keys from before the collection floor ({moment}): {took:.1f} s after its "
          f"start, {process.cpu():.1f} s of CPU, {moved / 1e6:.1f} MB to it; "
          f"slowest answer to a status meanwhile {stall:.2f} s, largest lag of its kernel's loop {lag} s, longest silence "
          f"to the watchdog {silence:.1f} s of {WATCHDOG_SECONDS}; at most {prober.peak / 1e6:.0f} MB resident, "
          f"{process.memory()['rss'] / 1e6:.0f} MB at the end")
    results["reset"] = {
        "seconds": took, "sent": moved, "stall_s": stall, "loop_lag_s": lag, "watchdog_silence_s": silence,
        "peak": prober.peak, "memory": process.memory(), "statuses": notes.statuses(begin)[:50]}
    client.close()


def measure_restore(cluster, limit, results):
    """A backup of the first node goes into a third one, which is alone."""
    serving = cluster.clients["n1"]
    serving.connection.settimeout(limit)
    begin = time.monotonic()
    path = os.path.join(cluster.folder, "backup")
    size = download(cluster.socket("n1"), "/v1/backup", path, limit)
    backed_up = time.monotonic() - begin
    notes = Notifications(cluster.folder, "n3")
    cluster.environments["n3"] = notes.environment
    mark = cluster.reader.mark()
    cluster.launch("n3")
    cluster.reader.first(mark, ["n3"], lambda text: "gossipd is ready" in text, 60)
    process = cluster.processes["n3"]
    prober = Prober(cluster.socket("n3"), process)
    begin = time.monotonic()
    status, body = upload(cluster.socket("n3"), "/v1/restore", path, limit)
    took = time.monotonic() - begin
    if status != 200:
        raise RuntimeError(f"restore: {status} {body[:300]!r}")
    stall = prober.end()
    client = admin.Client(cluster.socket("n3"))
    lag = client.metrics()["gossipd_loop_lag_max_seconds"]
    same_store("restore", client, serving, 1)
    silence = notes.longest_silence(begin, time.monotonic())
    print(f"\nBackup: {size / 1e6:.0f} MB in {backed_up:.1f} s; {rows(client)} rows restored in {took:.1f} s, "
          f"{process.cpu():.1f} s of CPU; slowest answer to a status "
          f"meanwhile {stall:.2f} s, largest lag of the kernel's loop {lag} s, longest silence to the watchdog "
          f"{silence:.1f} s of {WATCHDOG_SECONDS}; at most {prober.peak / 1e6:.0f} MB resident, "
          f"{process.memory()['rss'] / 1e6:.0f} MB at the end")
    results["restore"] = {
        "bytes": size, "backup_s": backed_up, "seconds": took, "stall_s": stall, "loop_lag_s": lag,
        "watchdog_silence_s": silence, "peak": prober.peak, "memory": process.memory()}
    client.close()


def download(path, target, file, limit):
    connection = admin.connect(path)
    connection.settimeout(limit)
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: gossipd\r\nConnection: close\r\n\r\n".encode())
    with connection.makefile("rb") as answer:
        status = int(answer.readline().split()[1])
        while answer.readline().strip():
            pass
        if status != 200:
            raise RuntimeError(f"GET {target}: {status}")
        size = 0
        with open(file, "wb") as out:
            while length := int(answer.readline(), 16):
                out.write(answer.read(length))
                answer.readline()
                size += length
    connection.close()
    return size


def upload(path, target, file, limit):
    connection = admin.connect(path)
    connection.settimeout(limit)
    head = f"POST {target} HTTP/1.1\r\nHost: gossipd\r\nConnection: close\r\nContent-Length: {os.path.getsize(file)}\r\n\r\n"
    connection.sendall(head.encode())
    with open(file, "rb") as body:
        connection.sendfile(body)
    answer = b""
    while data := connection.recv(65536):
        answer += data
    connection.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
