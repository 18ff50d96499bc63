# SPDX-License-Identifier: Apache-2.0
"""Owns the cases of strict keys: random calls under faults of processes, network and disk, judged afterwards as a whole."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from bridge import Bridge
from cases import expect
from strict_fleets import CLIENTS, FLEETS, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = "strict"
# Of a call of the test's clients.
TIMEOUT = 4
# Beyond the deadline of a call, on a machine that is busy.
SLACK = 6


class Load:
    """The clients in a process of their own, with their history."""

    def __init__(self, fleet, options, clients=12, holders=5, pause=0.01):
        self.file = os.path.join(fleet.folder, "history.jsonl")
        document = {
            "file": self.file, "kind": fleet.kind, "prefix": PREFIX, "endpoints": fleet.endpoints(), "clients": clients,
            "holders": holders if fleet.kind == "gossipd" else 0, "seed": options.seed, "timeout": TIMEOUT, "pause": pause, "consistency": options.consistency}
        command = [sys.executable, "-B", os.path.join(HERE, "strict_clients.py"), json.dumps(document)]
        self.process = subprocess.Popen(
            fleet.client_command(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self):
        """The summary; the clients have settled what they know of their counts."""
        try:
            out, _ = self.process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        expect(self.process.returncode == 0, f"the clients ended with {self.process.returncode}")
        return json.loads(out)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Faults:
    """Each method does one fault, waits, and undoes it."""

    def __init__(self, fleet, network, seed):
        self.fleet = fleet
        self.network = network
        self.random = random.Random(seed)
        self.log = []

    def hosts(self, names):
        return [self.fleet.host(name) for name in names]

    def wait(self, low, high):
        time.sleep(self.random.uniform(low, high))

    def leader(self):
        return self.fleet.leader() or self.random.choice(self.fleet.voters)

    def followers(self, count):
        leader = self.fleet.leader()
        return self.random.sample([name for name in self.fleet.voters if name != leader], count)

    def killed(self, names):
        for name in names:
            self.fleet.kill(name)
        self.wait(0.5, 3)
        for name in names:
            self.fleet.resume(name)
            self.wait(0, 0.5)

    def kill_leader(self):
        self.killed([self.leader()])

    def kill_follower(self):
        self.killed(self.followers(1))

    def kill_majority(self):
        self.killed(self.random.sample(self.fleet.voters, len(self.fleet.voters) // 2 + 1))

    def kill_all(self):
        self.killed(self.fleet.voters)

    def stopped(self, names):
        self.fleet.signal(names, signal.SIGSTOP)
        self.wait(0.5, 4)
        self.fleet.signal(names, signal.SIGCONT)

    def stop_leader(self):
        self.stopped([self.leader()])

    def stop_follower(self):
        self.stopped(self.followers(1))

    def split(self, *groups):
        self.network.split(*[self.hosts(group) for group in groups])
        self.wait(1, 5)
        self.network.split()

    def halves(self):
        names = self.random.sample(self.fleet.names, len(self.fleet.names))
        cut = self.random.randrange(1, len(names))
        self.split(names[:cut], names[cut:])

    def isolate_leader(self):
        leader = self.leader()
        self.split([leader], self.fleet.others(leader))

    def one_way(self):
        leader = self.leader()
        pair = [[leader], [name for name in self.fleet.voters if name != leader]]
        self.random.shuffle(pair)
        self.network.cut_one_way(*[self.hosts(group) for group in pair])
        self.wait(1, 5)
        self.network.cut_one_way([], [])

    def bridge(self):
        """Two voters do not reach each other, and all others reach both."""
        first = self.leader()
        second = self.random.choice([name for name in self.fleet.voters if name != first])
        self.split([first], [second])

    KINDS = (kill_leader, kill_follower, kill_majority, kill_all, stop_leader, stop_follower, halves, isolate_leader,
             one_way, bridge)

    def go_on(self, until):
        """Every kind in a new order again and again."""
        while time.monotonic() < until:
            for fault in self.random.sample(self.KINDS, len(self.KINDS)):
                if time.monotonic() >= until:
                    return
                begin = time.monotonic()
                fault(self)
                self.log.append((fault.__name__, begin, time.monotonic()))
                self.wait(0.5, 3)
                for name, process in self.fleet.processes.items():
                    ended = process.child.poll()
                    expect(ended is None, f"{name} has ended by itself with {ended}, at or after {fault.__name__}")


def read_all(fleet, consistency=None):
    """Every key of the test as each node gives it."""
    keys = [f"{PREFIX}/{name}" for name in
            [f"r{number}" for number in range(5)] + ["pair-a", "pair-b", "counter"]]
    told = {}
    for name in fleet.serving:
        connection = fleet.keys(name)
        for key in keys:
            answer = connection.get(key, consistency)
            told.setdefault(key, {})[name] = (
                (answer["value"], answer.get("version")) if answer["outcome"] == "ok" else connection.refusal)
        connection.close()
    return told


def agree(fleet, consistency, timeout):
    def same():
        told = read_all(fleet, consistency)
        return told if all(len(set(by_node.values())) == 1 for by_node in told.values()) else None
    try:
        return eventually(f"the same {consistency or 'linearizable'} values on all nodes", same, timeout)
    except AssertionError as failure:
        raise AssertionError(f"{failure}: {read_all(fleet, consistency)}") from None


def served_everywhere(fleet, timeout):
    """Each node takes a write."""
    for name in fleet.serving:
        connection = fleet.keys(name)
        eventually(f"{name} takes a write again",
                   lambda: connection.put(f"{PREFIX}/at-{name}", "x")["outcome"] == "ok", timeout)
        connection.close()


def judge(fleet, file):
    run = subprocess.run([os.path.join(fleet.programs, "gossipsim"), "judge", file], capture_output=True, text=True)
    told = run.stdout + run.stderr
    if run.returncode:
        kept = os.path.join(fleet.programs, f"strict-history-{os.getpid()}.jsonl")
        shutil.move(file, kept)
        raise AssertionError(f"the history is in {kept}: {told[:4000]}")
    return told.strip()


def under_faults(fleet, network, disturb):
    """Clients at work while `disturb(seconds)` does its worst; then all that must hold."""
    options = fleet.options
    load = Load(fleet, options)
    try:
        time.sleep(1)
        expect(load.process.poll() is None, "the clients have ended")
        begin = time.monotonic()
        disturb(options.seconds)
        took = time.monotonic() - begin
        served_everywhere(fleet, 30)
        summary = load.end()
    finally:
        load.kill()
    print(f"       {sum(summary['counts'].values())} calls, slowest {summary['slowest']:.1f} s: {summary['counts']}", flush=True)
    expect(not summary["failures"], "; ".join(summary["failures"]))
    expect(not summary["unsettled"], f"no clear answer within a minute after the faults: clients {summary['unsettled']}")
    final = agree(fleet, None, 30)
    local = agree(fleet, "local", 30)
    expect(local == final, f"local reads end with {local}, linearizable ones with {final}")
    counted = sum(summary["counted"].values())
    counter = next(iter(final[f"{PREFIX}/counter"].values()))[0]
    expect(counter == str(counted), f"the counter is {counter} after {counted} counts")
    expect(counted > 0, "nobody has counted")
    held = summary["held"]
    if held:
        print(f"       locks: {held}", flush=True)
        expect(held["obtained"] > 5 and held["writes"] > 10, f"the lock was hardly ever held: {held}")
    # What was acknowledged is there: the last reads belong to the history.
    with open(load.file, "a") as file:
        for key, by_node in final.items():
            now = time.monotonic_ns()
            value, version = next(iter(by_node.values()))
            file.write(json.dumps({"client": 1000, "begin": now, "end": now, "outcome": "ok", "operation": "get",
                                   "key": key, "value": value, "version": version}) + "\n")
    print("       " + judge(fleet, load.file), flush=True)
    # Of time in which nothing is broken there must be some: a group that never answers is linearizable as well.
    done = sum(count for name, count in summary["counts"].items() if name.endswith(" ok"))
    expect(done > 20 * took, f"only {done} calls were answered in {took:.0f} s")


def random_faults(fleet, network):
    faults = Faults(fleet, network, fleet.options.seed)
    under_faults(fleet, network, lambda seconds: faults.go_on(time.monotonic() + seconds))
    counts = {}
    for name, _, _ in faults.log:
        counts[name] = counts.get(name, 0) + 1
    print(f"       faults: {counts}", flush=True)


def strict_three(fleet, network):
    """Three voters, two clients, kill -9, SIGSTOP and partitions under load: linearizable, counted exactly."""
    random_faults(fleet, network)


def strict_five(fleet, network):
    """The same with five voters."""
    random_faults(fleet, network)


def strict_minority(fleet, network):
    """Without a majority calls fail in bounded time and name who is missing, local reads go on; the majority is served."""
    lonely = fleet.leader()
    alone = [lonely, fleet.names[-1]]
    rest = [name for name in fleet.serving if name not in alone]
    before = fleet.keys(rest[0])
    expect(before.put(f"{PREFIX}/r0", "before")["outcome"] == "ok", f"the first put: {before.refusal}")
    agree(fleet, "local", 20)
    network.split([fleet.host(name) for name in alone], [fleet.host(name) for name in fleet.others(*alone)])
    took = []
    for name in [name for name in alone if name in fleet.serving]:
        keys = fleet.keys(name, TIMEOUT)
        for ask in (lambda: keys.put(f"{PREFIX}/r1", "lost"), lambda: keys.get(f"{PREFIX}/r0"),
                    lambda: keys.compare_and_set(f"{PREFIX}/r1", 0, "lost")):
            begin = time.monotonic()
            answer = ask()
            took.append(time.monotonic() - begin)
            expect(answer["outcome"] != "ok", f"{name} is alone with a client and answers {answer}")
            expect(took[-1] < TIMEOUT + SLACK, f"{name} took {took[-1]:.1f} s to say {keys.refusal}")
            if fleet.kind == "gossipd":
                missing = [one["name"] for one in json.loads(keys.refusal.split(" ", 1)[1])["error"].get("missing", [])]
                others = [one for one in fleet.voters if one != lonely]
                expect(keys.refusal.startswith("503 ") and set(missing) & set(others) and not set(missing) - set(others),
                       f"{name} says {keys.refusal}, and out of reach are {others}")
        local = keys.get(f"{PREFIX}/r0", "local")
        expect(local.get("value") == "before", f"the local read on {name}: {local} {keys.refusal}")
        keys.close()
    for name in rest:
        keys = fleet.keys(name)
        eventually(f"{name} of the majority takes a write", lambda: keys.put(f"{PREFIX}/r0", "after")["outcome"] == "ok", 20)
        expect(keys.get(f"{PREFIX}/r0").get("value") == "after", f"the read on {name}: {keys.refusal}")
        keys.close()
    network.split()
    served_everywhere(fleet, 30)
    told = agree(fleet, "local", 30)
    expect({one[0] for one in told[f"{PREFIX}/r0"].values()} == {"after"}, f"{told}")
    print(f"       unavailable within {max(took):.1f} s, deadline {TIMEOUT} s", flush=True)


def strict_full_disk(fleet, network):
    """A voter's disk is full for a while: the others go on, and it is whole again when there is room."""
    name = fleet.small_disk
    filler = os.path.join(fleet.data(name), "filler")

    def disturb(_):
        time.sleep(3)
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                pass
        time.sleep(10)
        ended = fleet.processes[name].child.poll()
        print(f"       the voter with the full disk {'goes on' if ended is None else f'has ended with {ended}'}", flush=True)
        expect(fleet.kind != "gossipd" or ended in (None, 74), f"{name} has ended with {ended}, which is no storage error")
        keys = fleet.keys(next(one for one in fleet.voters if one != name))
        eventually("the others take writes", lambda: keys.put(f"{PREFIX}/at-full", "x")["outcome"] == "ok", 15)
        keys.close()
        os.unlink(filler)
        if fleet.processes[name].child.poll() is not None:
            fleet.kill(name)
            fleet.resume(name)
        time.sleep(3)

    under_faults(fleet, network, disturb)


def case(function, voters, small_disk=None):
    function.nodes = voters + CLIENTS
    function.small_disk = small_disk
    return function, Bridge


CASES = [case(strict_minority, 3), case(strict_three, 3), case(strict_five, 5), case(strict_full_disk, 3, "n2")]


def make_fleet(function, system, network, options):
    """The group of a case, before its start."""
    fleet = FLEETS[system](network, options.programs, not options.unkeyed)
    fleet.options = options
    if function.small_disk:
        fleet.limit_disk(function.small_disk)
    return fleet
