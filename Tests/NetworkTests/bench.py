# SPDX-License-Identifier: Apache-2.0
"""Owns the comparison of membership with Serf: the same faults on the same hosts, one daemon after the other."""

import argparse
import json
import os
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "Benchmarks", "daemons")]

import agents  # noqa: E402
import serf as loopback_serf  # noqa: E402
from bridge import Bridge, missing_tools  # noqa: E402

PARTS = ("idle", "spread", "kill", "vanish", "stall", "loss", "split")
# By the name on the command line: what it is, and whether it encrypts. Serf encrypts packets and streams with AES-GCM, as
# gossipd does.
AGENTS = {
    "gossipd": (agents.Gossipd, True), "serf": (agents.Serf, True),
    "gossipd-plain": (agents.Gossipd, False), "serf-plain": (agents.Serf, False)}
# Name of the figure, row of the table, unit, factor, digits.
ROWS = [
    ("formed", "formed after the last start", "s", 1, 2),
    ("idle_bytes", "idle: sent with IP, UDP, TCP and ARP headers", "B/s", 1, 0),
    ("idle_udp", "idle: sent over UDP with IP and UDP headers", "B/s", 1, 0),
    ("idle_packets", "idle: packets sent", "/s", 1, 2),
    ("idle_cpu", "idle: CPU of one core", "%", 100, 3),
    ("idle_private", "idle: private memory", "MB", 1e-6, 1),
    ("idle_rss", "idle: resident memory", "MB", 1e-6, 1),
    ("spread_median", "change or event on all nodes, median", "ms", 1e3, 1),
    ("spread_max", "the same, slowest", "ms", 1e3, 1),
    ("kill_median", "kill -9 reported by all, median", "s", 1, 2),
    ("kill_max", "the same, slowest", "s", 1, 2),
    ("kill_false", "failures of others meanwhile", "", 1, 0),
    ("vanish_median", "link down reported by all, median", "s", 1, 2),
    ("vanish_max", "the same, slowest", "s", 1, 2),
    ("vanish_false", "failures of others meanwhile", "", 1, 0),
    ("stall_healthy", "one in five stalls: failures of healthy nodes", "", 1, 0),
    ("stall_stalled", "the same: failures of stalled nodes", "", 1, 0),
    ("loss_false", "datagram loss: failures of living nodes", "", 1, 0),
    ("loss_kill_median", "kill -9 under that loss, median", "s", 1, 2),
    ("loss_kill_max", "the same, slowest", "s", 1, 2),
    ("split_clean", "half/half: every view split after", "s", 1, 2),
    ("split_merged", "healed: every view whole after", "s", 1, 2),
]


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    """All parts with one kind of agent."""

    def __init__(self, fleet, bridge, options):
        self.fleet, self.bridge, self.options = fleet, bridge, options
        self.figures = {"load": os.getloadavg()[0]}

    def say(self, text):
        progress(f"{self.fleet.title}: {text}")

    def all(self):
        self.figures["formed"] = self.fleet.form()
        self.say(f"{len(self.fleet.names)} nodes formed in {self.figures['formed']:.2f} s")
        time.sleep(3)
        self.figures["took"] = {}
        for part in PARTS:
            if part in self.options.parts:
                begin = time.monotonic()
                getattr(self, part)()
                self.figures["took"][part] = time.monotonic() - begin
        self.say("took " + ", ".join(f"{part} {took:.0f} s" for part, took in self.figures["took"].items()))

    def whole(self, timeout=120):
        """Waits until everybody sees everybody, so that a trial starts from the same state."""
        self.fleet.watcher.settled(0, self.fleet.pairs(), ("joined", "alive"), timeout)
        time.sleep(2)

    def take(self, name, times, mark, victims):
        self.figures[f"{name}_times"] = times
        self.figures[f"{name}_median"], self.figures[f"{name}_max"] = statistics.median(times), max(times)
        others = [one for one in self.fleet.failures(mark) if one[1] not in victims]
        self.figures[f"{name}_false"] = len(others)
        self.say(f"{name}: median {statistics.median(times):.2f} s, slowest {max(times):.2f} s, {len(others)} false")

    def idle(self):
        time.sleep(5)
        processes = list(self.fleet.processes.values())
        hosts = range(1, self.bridge.count + 1)
        self.bridge.count_datagrams()
        sent, cpu, begin = [self.bridge.sent(h) for h in hosts], [p.cpu() for p in processes], time.monotonic()
        time.sleep(self.options.idle)
        sent_after, cpu_after = [self.bridge.sent(h) for h in hosts], [p.cpu() for p in processes]
        took = (time.monotonic() - begin) * len(processes)
        packets = sum(b[1] - a[1] for a, b in zip(sent, sent_after))
        # Without the Ethernet headers, which the loopback measurement does not have either.
        self.figures["idle_bytes"] = (sum(b[0] - a[0] for a, b in zip(sent, sent_after)) - 14 * packets) / took
        self.figures["idle_packets"] = packets / took
        self.figures["idle_udp"] = self.bridge.datagram_bytes() / took
        self.figures["idle_cpu"] = sum(b - a for a, b in zip(cpu, cpu_after)) / took
        memory = [process.memory() for process in processes]
        for kind in ("private", "rss"):
            self.figures[f"idle_{kind}"] = statistics.mean(one[kind] for one in memory)
        self.say(f"idle: {self.figures['idle_bytes']:.0f} B/s, {self.figures['idle_cpu'] * 100:.3f} % CPU")

    def spread(self):
        times = [self.fleet.announce(number) for number in range(self.options.spreads)]
        self.figures["spread_times"] = times
        self.figures["spread_median"], self.figures["spread_max"] = statistics.median(times), max(times)
        self.say(f"spread: median {statistics.median(times) * 1e3:.1f} ms")

    def victims(self):
        """Never the first node: the others join through it."""
        return [self.fleet.names[1 + trial % (len(self.fleet.names) - 1)] for trial in range(self.options.trials)]

    def kill_one(self, victim):
        mark = self.fleet.watcher.mark()
        begin = time.monotonic()
        self.fleet.kill(victim)
        seen = self.fleet.watcher.first(mark, self.fleet.others(victim), "failed", victim, 60)
        return max(seen.values()) - begin

    def kill(self):
        times, start = [], self.fleet.watcher.mark()
        for victim in self.victims():
            times.append(self.kill_one(victim))
            self.fleet.launch(victim, self.fleet.names[0])
            self.whole()
        self.take("kill", times, start, set(self.victims()))

    def vanish(self):
        """Each victim is started anew behind its link: how long a return takes without that is what `split` measures, and
        Serf tries a lost peer only every half minute."""
        times, start = [], self.fleet.watcher.mark()
        false = 0
        for victim in self.victims():
            mark = self.fleet.watcher.mark()
            others = self.fleet.others(victim)
            begin = time.monotonic()
            self.bridge.set_link(self.fleet.host(victim), "down")
            try:
                times.append(max(self.fleet.watcher.first(mark, others, "failed", victim, 60).values()) - begin)
                self.fleet.kill(victim)
            finally:
                self.bridge.set_link(self.fleet.host(victim), "up")
            # What the victim, cut off from all, says of the others is right from where it stands.
            false += len(self.fleet.failures(mark, of=others, by=others))
            self.fleet.launch(victim, self.fleet.names[0])
            self.whole()
        self.take("vanish", times, start, set(self.victims()))
        self.figures["vanish_false"] = false

    def stall(self):
        stalled = self.fleet.names[1:1 + len(self.fleet.names) // 5]
        mark, end = self.fleet.watcher.mark(), time.monotonic() + self.options.stall
        while time.monotonic() < end:
            self.fleet.signal(stalled, signal.SIGSTOP)
            time.sleep(4)
            self.fleet.signal(stalled, signal.SIGCONT)
            time.sleep(1)
        time.sleep(3)
        reports = self.fleet.failures(mark)
        self.figures["stall_healthy"] = sum(member not in stalled for _, member in reports)
        self.figures["stall_stalled"] = sum(member in stalled for _, member in reports)
        self.say(f"stall: {self.figures['stall_healthy']} failures of healthy, {self.figures['stall_stalled']} of stalled")
        self.whole()

    def loss(self):
        self.bridge.lose_datagrams(self.options.loss_percent)
        try:
            mark = self.fleet.watcher.mark()
            time.sleep(self.options.loss)
            self.figures["loss_false"] = len(self.fleet.failures(mark))
            self.say(f"loss: {self.figures['loss_false']} failures of living nodes")
            times = []
            for victim in self.victims()[:max(3, self.options.trials // 3)]:
                times.append(self.kill_one(victim))
                self.fleet.launch(victim, self.fleet.names[0])
                self.whole()
            self.figures["loss_kill_median"], self.figures["loss_kill_max"] = statistics.median(times), max(times)
            self.figures["loss_kill_times"] = times
            self.say(f"kill under loss: median {statistics.median(times):.2f} s")
        finally:
            self.bridge.lose_datagrams(0)
        self.whole()

    def split(self):
        half = len(self.fleet.names) // 2
        left, right = self.fleet.names[:half], self.fleet.names[half:]
        across = self.fleet.pairs(left, right) + self.fleet.pairs(right, left)
        mark, begin = self.fleet.watcher.mark(), time.monotonic()
        self.bridge.split([self.fleet.host(n) for n in left], [self.fleet.host(n) for n in right])
        try:
            self.figures["split_clean"] = self.fleet.watcher.settled(mark, across, ("failed",), 120) - begin
            time.sleep(max(0, begin + self.options.split - time.monotonic()))
        finally:
            mark, healed = self.fleet.watcher.mark(), time.monotonic()
            self.bridge.split()
        self.figures["split_merged"] = self.fleet.watcher.settled(mark, across, ("joined", "alive"), 180) - healed
        self.say(f"split: clean {self.figures['split_clean']:.1f} s, merged {self.figures['split_merged']:.2f} s")


def table(results):
    titles = list(results)
    print(f"\n{'':<58}" + "".join(f"{title:>16}" for title in titles) + ("           ratio" if len(titles) == 2 else ""))
    for name, text, unit, factor, digits in ROWS:
        values = [results[title].get(name) for title in titles]
        if all(value is None for value in values):
            continue
        cells = "".join("-".rjust(16) if v is None else f"{v * factor:16.{digits}f}" for v in values)
        ratio = f"{values[0] / values[1]:16.3f}" if len(values) == 2 and None not in values and values[1] else ""
        print(f"{text + (f' ({unit})' if unit else ''):<58}{cells}{ratio}")


def options():
    parser = argparse.ArgumentParser(
        prog="bench-membership",
        description="Compare membership with Serf's, each agent in its own network namespace, LAN settings. Needs root.")
    parser.add_argument("programs", metavar="FOLDER-OF-PROGRAMS", help="where gossipd is")
    parser.add_argument("--nodes", type=int, default=30)
    parser.add_argument("--trials", type=int, default=9, help="kills and vanished hosts (default 9)")
    parser.add_argument("--spreads", type=int, default=21, help="changes whose spread is measured (default 21)")
    parser.add_argument("--idle", type=float, default=90, help="seconds of idleness (default 90)")
    parser.add_argument("--stall", type=float, default=120, help="seconds of stalls (default 120)")
    parser.add_argument("--loss", type=float, default=300, help="seconds of datagram loss (default 300)")
    parser.add_argument("--loss-percent", type=float, default=10)
    parser.add_argument("--split", type=float, default=90, help="seconds of the partition (default 90)")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument(
        "--agents", default="gossipd,serf",
        help=f"of {','.join(AGENTS)}, in this order of runs; default gossipd,serf: both encrypt with one key of 32 bytes")
    parser.add_argument("--limit", type=int, default=5400, help="seconds after which all ends (default 5400)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there, in seconds and bytes")
    chosen = parser.parse_args()
    chosen.parts = chosen.parts.split(",")
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    chosen.agents = chosen.agents.split(",")
    unknown = set(chosen.agents) - set(AGENTS)
    if unknown:
        parser.error(f"there is no agent {', '.join(sorted(unknown))}; there are {', '.join(AGENTS)}")
    return chosen


def ended(number, _):
    sys.exit(f"bench-membership: ended by {signal.Signals(number).name}")


def main():
    chosen = options()
    lacking = missing_tools()
    if lacking:
        sys.exit(f"bench-membership: {lacking}")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, ended)
    signal.alarm(chosen.limit)
    kinds = [AGENTS[name] for name in chosen.agents]
    if not loopback_serf.version():
        progress("Serf is not installed (apt-get install serf): gossipd is measured alone")
        kinds = [(kind, keyed) for kind, keyed in kinds if kind is not agents.Serf]
    results, started = {}, time.monotonic()
    for kind, keyed in kinds:
        bridge = Bridge(chosen.nodes)
        fleet = None
        try:
            bridge.up()
            fleet = kind(bridge, chosen.programs, keyed)
            run = Run(fleet, bridge, chosen)
            results[fleet.title] = run.figures
            run.all()
        finally:
            if fleet:
                fleet.stop()
            bridge.down()
    table(results)
    print(f"\n{chosen.nodes} nodes, {chosen.trials} trials, {time.monotonic() - started:.0f} s in all")
    if chosen.json:
        with open(chosen.json, "w") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
