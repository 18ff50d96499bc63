# SPDX-License-Identifier: Apache-2.0
"""Owns the clients of a strict test as a process of its own: random calls, each kept as a line for `gossipsim judge`.

Started with one JSON document as its argument; ends when its standard input is closed, after it has settled what became of
its counts, and prints a summary as JSON."""

import json
import sys
import threading
import time

from strict_asker import Asker, History
from strict_holders import Holder

REGISTERS = 5
# How long the end may take before counts of unknown outcome are given up.
SETTLE_MAX = 60


class Client(Asker):
    def __init__(self, number, options, history, stop):
        super().__init__(number, options, history, stop)
        self.versions = {}
        # Of the counter: how often this client counted, and which version its own mark of that has.
        self.counted = 0
        self.mark_version = 0
        self.settled = False

    def get(self, key):
        answer = self.ask({"operation": "get", "key": key}, lambda: self.keys.get(key))
        if answer["outcome"] == "ok":
            self.versions[key] = answer.get("version", 0)
        return answer

    def put(self, key):
        value = self.value()
        answer = self.ask({"operation": "put", "key": key, "value": value}, lambda: self.keys.put(key, value))
        self.versions[key] = answer.get("version", self.versions.get(key, 0))

    def delete(self, key):
        self.ask({"operation": "delete", "key": key}, lambda: self.keys.delete(key))

    def compare_and_set(self, key):
        value, version = self.value(), self.versions.get(key, 0)
        answer = self.ask(
            {"operation": "compare_and_set", "key": key, "value": value, "compare": [{"key": key, "version": version}]},
            lambda: self.keys.compare_and_set(key, version, value))
        if answer.get("succeeded"):
            self.versions[key] = answer["version"]
        elif answer["outcome"] == "ok":
            self.get(key)

    def transaction(self, compare, then, otherwise):
        asked = {"operation": "transaction", "compare": compare, "then": then, "else": otherwise}
        return self.ask(asked, lambda: self.keys.transaction(compare, then, otherwise))

    def pair(self):
        """Two keys that are always written together and read together."""
        first, second = self.name("pair-a"), self.name("pair-b")
        reads = [{"operation": "get", "key": first}, {"operation": "get", "key": second}]
        if self.random.random() < 0.5:
            answer = self.transaction([], reads, [])
        else:
            value = self.value()
            writes = [{"operation": "put", "key": key, "value": value} for key in (first, second)]
            answer = self.transaction([{"key": first, "version": self.versions.get(first, 0)}], writes, reads)
        if answer["outcome"] != "ok":
            return
        values = [result.get("value") for result in answer["results"]]
        if values[0] != values[1]:
            self.failure = f"client {self.number} saw half of a transaction: {answer}"
        self.versions[first] = answer["results"][0].get("version", 0)

    def count(self):
        """Adds one to the counter, exactly once: the same transaction moves this client's mark, and asks for the mark
        as it was. Returns False when it is not known yet what became of it."""
        counter, mark = self.name("counter"), self.name(f"mark-{self.number}")
        reads = [{"operation": "get", "key": counter}, {"operation": "get", "key": mark}]
        seen = self.get(counter)
        if seen["outcome"] != "ok":
            return False
        writes = [{"operation": "put", "key": counter, "value": str(int(seen["value"] or 0) + 1)},
                  # Its second half tells which attempt it was.
                  {"operation": "put", "key": mark, "value": f"{self.counted + 1} {self.value()}"}]
        answer = self.transaction(
            [{"key": counter, "version": seen.get("version", 0)}, {"key": mark, "version": self.mark_version}],
            writes, reads)
        if answer["outcome"] == "unknown":
            return False
        if answer.get("succeeded"):
            self.counted, self.mark_version = self.counted + 1, answer["results"][1]["version"]
        elif answer["outcome"] == "ok":
            # Somebody else counted first, or an attempt whose answer was lost was made after all.
            value = int((answer["results"][1].get("value") or "0").split()[0])
            if value == self.counted + 1:
                self.counted, self.mark_version = value, answer["results"][1]["version"]
            elif value != self.counted:
                self.failure = f"the mark of client {self.number} is {value} after {self.counted} counts: {answer}"
        return True

    def step(self):
        key = self.name(f"r{self.random.randrange(REGISTERS)}")
        dice = self.random.random()
        if dice < 0.40:
            self.get(key)
        elif dice < 0.62:
            self.put(key)
        elif dice < 0.67:
            self.delete(key)
        elif dice < 0.80:
            self.compare_and_set(key)
        elif dice < 0.90:
            self.pair()
        else:
            self.count()

    def run(self):
        try:
            while not self.stop.is_set() and not self.failure:
                self.step()
                time.sleep(self.random.uniform(0, 2 * self.pause))
            deadline = time.monotonic() + SETTLE_MAX
            # What was asked for last may take effect yet: one more count makes that impossible, and tells what it did.
            while not self.settled and time.monotonic() < deadline and not self.failure:
                before = self.counted
                self.count()
                self.settled = self.counted == before + 1
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = f"client {self.number}: {failure!r}"


def main():
    options = json.loads(sys.argv[1])
    history, stop = History(options["file"]), threading.Event()
    clients = [Client(number, options, history, stop) for number in range(options["clients"])]
    holders = [Holder(options["clients"] + number, options, history, stop) for number in range(options["holders"])]
    for client in clients + holders:
        client.start()
    sys.stdin.read()
    stop.set()
    for client in clients + holders:
        client.join()
    history.file.close()
    print(json.dumps({
        "counted": {str(client.number): client.counted for client in clients},
        "unsettled": [client.number for client in clients if not client.settled],
        "held": {name: sum(holder.held[name] for holder in holders) for holder in holders[:1] for name in holder.held},
        "failures": [client.failure for client in clients + holders if client.failure],
        "slowest": max(client.slowest for client in clients + holders), "counts": history.counts}))


if __name__ == "__main__":
    main()
