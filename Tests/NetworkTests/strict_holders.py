# SPDX-License-Identifier: Apache-2.0
"""Owns programs that take one lock in turn, by leases, and write a key that the lock protects under their fencing token."""

import time

from strict_asker import Asker

# Where it is, strict_asker knows.
from strict_api import GossipdLocks  # noqa: E402

LOCK, FENCE = "strict-test", "fence"
# Seconds: shorter than most faults, so that holders lose the lock.
TTL_MIN, TTL_MAX = 0.5, 3


class Holder(Asker):
    """In the history the owner of a lock is the lease's number. A lease that ends by itself gives the lock back at a time that
    nobody is told, at its last renewal at the earliest; what is known of that is a `release`."""

    def __init__(self, number, options, history, stop):
        super().__init__(number, {**options, "kind": "gossipd"}, history, stop)
        self.held = {"obtained": 0, "writes": 0, "kept out": 0, "lost": 0, "given back": 0}
        self.lease = None
        self.ttl = 0
        # When the last renewal that was answered had been asked for.
        self.renewed = 0

    def connect(self):
        if self.keys:
            self.keys.close()
        self.keys = GossipdLocks(self.random.choice(self.endpoints), self.timeout)

    def call(self, name, *arguments):
        """What is no line of the history by itself."""
        return self.ask(None, lambda: getattr(self.keys, name)(*arguments))

    def owned(self, operation):
        return {"operation": operation, "key": LOCK, "owner": self.lease}

    def grant(self):
        self.ttl = self.random.uniform(TTL_MIN, TTL_MAX)
        begin = time.monotonic_ns()
        answer = self.call("grant", self.ttl)
        self.lease, self.renewed = answer.get("lease"), begin
        return self.lease is not None

    def renew(self):
        """False: the lease has ended, or may have by this clock."""
        begin = time.monotonic_ns()
        answer = self.call("renew", self.lease)
        if answer.get("lives"):
            self.renewed = begin
        return answer.get("lives", time.monotonic_ns() < self.renewed + self.ttl * 1e9)

    def acquire(self):
        """The token; None: another one has it, or it is not known."""
        begin = time.monotonic_ns()
        answer = self.call("acquire", LOCK, self.lease, self.random.random() < 0.7)
        if answer["outcome"] == "fail":
            return None
        is_clear = "token" in answer or "busy" in answer
        while not is_clear and "token" not in answer and not self.stop.is_set() and self.renew():
            time.sleep(self.random.uniform(0, 0.1))
            answer = self.call("look", LOCK, self.lease)
            if answer["outcome"] == "ok" and answer.get("state") != "waiting":
                break
        if is_clear or "token" in answer:
            self.history.record(self.number, begin, self.owned("acquire"), answer)
        else:
            # It may have it, and may get it yet.
            self.history.record(self.number, begin, self.owned("acquire"), {"outcome": "unknown"})
            self.history.record(self.number, begin, self.owned("release"), {"outcome": "unknown"})
        return answer.get("token")

    def write(self, token):
        """Whether the lock is still held, as far as the answer tells."""
        key = f"{self.prefix}/{FENCE}"
        compare, then = [{"lock": LOCK, "token": token}], [{"operation": "put", "key": key, "value": f"{token} {self.value()}"}]
        otherwise = [{"operation": "get", "key": key}]
        answer = self.ask({"operation": "transaction", "compare": compare, "then": then, "else": otherwise},
                          lambda: self.keys.transaction(compare, then, otherwise))
        if answer["outcome"] != "ok":
            return True
        self.held["writes" if answer["succeeded"] else "kept out"] += 1
        return answer["succeeded"]

    def release(self):
        begin = time.monotonic_ns()
        answer = self.call("release", LOCK, self.lease)
        if answer["outcome"] != "ok":
            self.history.record(self.number, self.renewed, self.owned("release"), {"outcome": "unknown"})
        elif answer["existed"]:
            self.held["given back"] += 1
            self.history.record(self.number, begin, self.owned("release"), answer)
        else:
            self.lost()

    def lost(self):
        """Its end is over; when it was, is known from the last renewal on."""
        self.held["lost"] += 1
        self.history.record(self.number, self.renewed, self.owned("release"), {"outcome": "ok"})

    def turn(self):
        if not self.grant():
            return
        token = self.acquire()
        if token is None:
            return
        self.held["obtained"] += 1
        for _ in range(self.random.randrange(1, 12)):
            if not self.write(token):
                # The group says so: no other end of it is to be told.
                return self.lost()
            time.sleep(self.random.uniform(0, 4 * self.pause))
            if self.random.random() < 0.4 and not self.renew():
                break
            if self.random.random() < 0.05:
                # As a process that was suspended does: it notices late, or by the refusal of what it writes.
                time.sleep(self.ttl * self.random.uniform(0.5, 1.5))
        self.release()
        if self.random.random() < 0.3:
            self.write(token)

    def run(self):
        try:
            while not self.stop.is_set() and not self.failure:
                self.turn()
                time.sleep(self.random.uniform(0, 4 * self.pause))
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = f"holder {self.number}: {failure!r}"
