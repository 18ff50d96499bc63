# SPDX-License-Identifier: Apache-2.0
"""Owns what the agents say of each other: the events in their logs, and when a condition on all views came to hold."""

import time


class Watcher:
    """Replays the events of a `LogReader` in the order in which they came in."""

    def __init__(self, reader, parse):
        """`parse(text)` gives (kind, member) of a log line, kind one of joined, suspected, failed, alive, left; or None."""
        self.reader = reader
        self.parse = parse
        self.position = 0
        self.events = []  # (time, observer, kind, member)
        self.views = {}  # observer -> member -> kind

    def read(self):
        with self.reader.news:
            lines = self.reader.lines[self.position:]
            self.position = len(self.reader.lines)
        fresh = []
        for when, observer, text in lines:
            event = self.parse(text)
            if event:
                fresh.append((when, observer, *event))
                self.views.setdefault(observer, {})[event[1]] = event[0]
        self.events += fresh
        return fresh

    def mark(self):
        self.read()
        return len(self.events)

    def forget(self, observer):
        """A new process of that name knows nothing yet."""
        self.read()
        self.views[observer] = {}

    def since(self, mark, kind=None):
        self.read()
        return [event for event in self.events[mark:] if kind is None or event[2] == kind]

    def first(self, mark, observers, kind, member, timeout):
        """When each observer reported that first; fails when one did not in time."""
        seen, deadline = {}, time.monotonic() + timeout
        while True:
            for when, observer, what, whom in self.since(mark):
                if what == kind and whom == member and observer in observers:
                    seen.setdefault(observer, when)
            if len(seen) == len(observers):
                return seen
            if time.monotonic() > deadline:
                missing = sorted(set(observers) - set(seen))
                raise TimeoutError(f"{', '.join(missing)} did not report {member} {kind} within {timeout:.0f} s")
            with self.reader.news:
                self.reader.news.wait(0.2)

    def settled(self, mark, pairs, kinds, timeout):
        """When the last of the (observer, member) pairs came to be one of `kinds` and all stayed so until now.

        Events after `mark` count; a pair that needed no event counts as settled at once."""
        deadline = time.monotonic() + timeout
        while True:
            self.read()
            open_pairs = [p for p in pairs if self.views.get(p[0], {}).get(p[1]) not in kinds]
            if not open_pairs:
                wanted = set(pairs)
                times = [when for when, observer, kind, member in self.events[mark:]
                         if (observer, member) in wanted and kind in kinds]
                return max(times, default=time.monotonic())
            if time.monotonic() > deadline:
                observer, member = open_pairs[0]
                raise TimeoutError(
                    f"{len(open_pairs)} of {len(pairs)} views are not {' or '.join(kinds)} after {timeout:.0f} s, "
                    f"such as that of {observer} on {member}: {self.views.get(observer, {}).get(member)}")
            with self.reader.news:
                self.reader.news.wait(0.2)
