# SPDX-License-Identifier: Apache-2.0
"""Owns what all clients of a strict test do alike: they ask any node, and each call becomes a line for `gossipsim judge`."""

import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Benchmarks", "daemons"))

from strict_api import KINDS  # noqa: E402


class History:
    def __init__(self, path):
        self.file = open(path, "w")
        self.lock = threading.Lock()
        self.counts = {}

    def record(self, client, begin, asked, answer):
        """`asked` and `answer` are fields of the line; the answer's win."""
        line = {"client": client, "begin": begin, "end": time.monotonic_ns(), **asked, **answer}
        text = json.dumps(line) + "\n"
        with self.lock:
            self.file.write(text)
            name = f"{line['operation']} {line['outcome']}"
            self.counts[name] = self.counts.get(name, 0) + 1


class Asker(threading.Thread):
    def __init__(self, number, options, history, stop):
        super().__init__(daemon=True)
        self.number = number
        self.prefix = options["prefix"]
        self.endpoints = options["endpoints"]
        self.kind = KINDS[options["kind"]]
        self.timeout = options["timeout"]
        self.consistency = options.get("consistency")
        self.pause = options["pause"]
        self.random = random.Random(options["seed"] * 1000 + number)
        self.history = history
        self.stop = stop
        self.sent = 0
        self.slowest = 0.0
        self.failure = None
        self.keys = None
        self.connect()

    def connect(self):
        if self.keys:
            self.keys.close()
        self.keys = self.kind(self.random.choice(self.endpoints), self.timeout, self.consistency)

    def name(self, key):
        return f"{self.prefix}/{key}"

    def value(self):
        """Never the same twice."""
        self.sent += 1
        return f"{self.number}-{self.sent}"

    def ask(self, asked, call):
        """`asked`: None for what is no line of a history."""
        begin = time.monotonic_ns()
        answer = call()
        if asked:
            self.history.record(self.number, begin, asked, answer)
        self.slowest = max(self.slowest, (time.monotonic_ns() - begin) / 1e9)
        if answer["outcome"] != "ok" or self.random.random() < 0.02:
            self.connect()
        if answer["outcome"] != "ok":
            # As a client does that means to try again.
            time.sleep(self.random.uniform(0.02, 0.2))
        return answer
