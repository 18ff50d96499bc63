# SPDX-License-Identifier: Apache-2.0
"""Owns the measurements of strict keys: puts and reads of a group of three, and fail-over, beside a real etcd."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import etcd
import strict_groups
from figures import disk_floor, progress
from processes import LogReader

CLIENTS = (1, 64, 256)
# Further writes are begun so often while there is no leader, one by one, at each survivor.
ATTEMPT_EVERY = 0.02
FAILOVER_MAX = 30


def settled(group, timeout=60):
    """The leader that all members name, once they do and have the same commit index."""
    deadline = time.monotonic() + timeout
    while True:
        told = [group.status(name) for name in group.names]
        if None not in told and None not in [leader for leader, _ in told] and len(set(told)) == 1:
            return told[0][0]
        if time.monotonic() > deadline:
            raise TimeoutError(f"{group.title} has no leader that all name after {timeout} s: {told}")
        time.sleep(0.1)


def cpu(group):
    return sum(process.cpu() for process in group.processes.values())


def generate(options, group, operation, clients):
    """One run of the generator against the leader: its figures."""
    leader = settled(group)
    command = [
        os.path.join(options.programs, "gossipbench"), "load", operation, "--api", group.api, "--target",
        group.target(leader), "--clients", str(clients), "--value-bytes", str(options.value_bytes), "--prefix", "strict",
        "--keys", str(options.keys), "--seconds", str(options.seconds), "--linearizable"]
    connections = options.etcd_connections if group.title == "etcd" else options.gossipd_connections
    if connections:
        command += ["--connections", str(min(clients, connections))]
    spent, (_, before) = cpu(group), group.status(leader)
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)}: {run.stdout}{run.stderr}")
    figures = json.loads(run.stdout)
    # The second of warming up counts for the CPU and not for the requests.
    share = options.seconds / (options.seconds + 1)
    figures["cpu_us"] = (cpu(group) - spent) * share / max(1, figures["requests"]) * 1e6
    after = settled(group)
    _, committed = group.status(after)
    figures["entries"] = committed - before
    figures["leader_changed"] = after != leader
    if operation == "put" and committed - before < figures["requests"]:
        raise RuntimeError(f"{group.title}: {figures['requests']} puts, but {committed - before} entries of the log")
    return figures


def measure_load(options, groups, folder, results):
    rounds, floors = {}, [disk_floor(folder)]
    for turn in range(options.rounds):
        # In turn, and each round in the other order: what else the machine does hits both.
        order = groups if turn % 2 == 0 else groups[::-1]
        for operation in options.operations:
            for clients in options.clients:
                for group in order:
                    figures = generate(options, group, operation, clients)
                    rounds.setdefault((operation, clients), {}).setdefault(group.title, []).append(figures)
        floors.append(disk_floor(folder))
        progress(f"load: round {turn + 1} of {options.rounds} done, load average {os.getloadavg()[0]:.1f}")
    print(f"\nThree members on one disk, values of {options.value_bytes} bytes, asked at the leader; medians of {options.rounds} "
          f"rounds of {options.seconds} s; the disk gives {statistics.median(floors):.0f} fdatasync/s to one writer")
    print(f"{'':<18}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>9}   ratio to etcd: rate, p50, p99, CPU")
    table = {}
    for (operation, clients), titles in rounds.items():
        medians = {
            title: {name: statistics.median(run[name] for run in runs)
                    for name in ("per_second", "p50_ms", "p99_ms", "cpu_us")}
            for title, runs in titles.items()}
        table[f"{operation} {clients}"] = medians
        for title, m in medians.items():
            line = (f"{operation:<4}{clients:>4} {title:<9}{m['per_second']:>12.0f}{m['p50_ms']:>10.3f}"
                    f"{m['p99_ms']:>10.3f}{m['cpu_us']:>9.0f}")
            if title == "gossipd" and "etcd" in medians:
                line += "  " + "".join(f"{m[name] / max(1e-9, medians['etcd'][name]):>8.2f}" for name in m)
            print(line)
    changes = {group.title: sum(one["leader_changed"] for runs in rounds.values() for one in runs[group.title])
               for group in groups}
    print(f"leaders that changed during a run: {changes}")
    results["load"] = {"floor": floors, "medians": table, "runs": {
        f"{operation} {clients}": runs for (operation, clients), runs in rounds.items()}}


class FailOver:
    """Writes at the survivors, each begun by itself, until one has succeeded."""

    def __init__(self, group, survivors, trial):
        self.group = group
        self.survivors = survivors
        self.trial = trial
        self.done = threading.Event()
        self.first = None
        self.lock = threading.Lock()

    def attempt(self, name, number):
        keys = self.group.keys(name, 5)
        answer = keys.put(f"strict/failover-{self.trial}-{number}", "x" * 256)
        now = time.monotonic()
        keys.close()
        if answer["outcome"] == "ok":
            with self.lock:
                self.first = min(self.first or now, now)
            self.done.set()

    def run(self):
        """When the first write had its answer."""
        number, threads = 0, []
        begin = time.monotonic()
        while not self.done.is_set():
            if time.monotonic() - begin > FAILOVER_MAX:
                raise TimeoutError(f"{self.group.title}: no write succeeded within {FAILOVER_MAX} s")
            for name in self.survivors:
                thread = threading.Thread(target=self.attempt, args=(name, number), daemon=True)
                thread.start()
                threads.append(thread)
                number += 1
            self.done.wait(ATTEMPT_EVERY)
        for thread in threads:
            thread.join(15)
        return self.first


def measure_failover(options, groups, results):
    times = {group.title: [] for group in groups}
    for trial in range(options.trials):
        for group in groups if trial % 2 == 0 else groups[::-1]:
            leader = settled(group)
            # Not always at the same moment between two heartbeats.
            time.sleep(1 + 0.037 * trial)
            survivors = [name for name in group.names if name != leader]
            begin = time.monotonic()
            group.processes[leader].child.kill()
            times[group.title].append(FailOver(group, survivors, trial).run() - begin)
            group.processes[leader].child.wait()
            group.restart(leader)
        progress(f"fail-over: trial {trial + 1} of {options.trials} done")
    print(f"\nkill -9 of the leader until the first successful write at a survivor, {options.trials} trials each, seconds")
    print(f"{'':<10}{'median':>9}{'shortest':>10}{'longest':>9}   all")
    for title, all_times in times.items():
        line = f"{title:<10}{statistics.median(all_times):>9.2f}{min(all_times):>10.2f}{max(all_times):>9.2f}   "
        print(line + " ".join(f"{one:.2f}" for one in sorted(all_times)))
    if len(times) == 2:
        print(f"ratio of the medians: {statistics.median(times['gossipd']) / statistics.median(times['etcd']):.2f}")
    results["failover"] = times


def parse():
    parser = argparse.ArgumentParser(
        prog="strict_bench.py", description="Measure strict keys of three real daemons, beside three etcd where it is installed.")
    parser.add_argument("programs", metavar="FOLDER-OF-PROGRAMS", help="where gossipd and gossipbench are")
    parser.add_argument("--parts", default="load,failover", help="of load,failover (default both)")
    parser.add_argument("--operations", default="put,get", help="of put,get (default both)")
    parser.add_argument("--clients", default=",".join(map(str, CLIENTS)), help="how many at once (default 1,64,256)")
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="of all runs, in turn (default 3)")
    parser.add_argument("--value-bytes", type=int, default=256)
    parser.add_argument("--keys", type=int, default=10_000, help="different keys (default 10000)")
    parser.add_argument("--trials", type=int, default=9, help="of fail-over, each (default 9)")
    parser.add_argument(
        "--etcd-connections", type=int, default=1,
        help="that etcd's clients share, 0: one each (default 1: etcd is fastest so)")
    parser.add_argument(
        "--gossipd-connections", type=int, default=1,
        help="that gossipd's clients share, 0: one each (default 1: gossipd is fastest so)")
    parser.add_argument("--systems", default="gossipd,etcd", help="of gossipd,etcd (default both)")
    parser.add_argument("--folder", help="where the daemons keep their data (default: a temporary folder)")
    parser.add_argument("--limit", type=int, default=1200, help="seconds after which all ends (default 1200)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    options.clients = [int(one) for one in options.clients.split(",")]
    for name, known in (("parts", ["load", "failover"]), ("operations", ["put", "get"]), ("systems", ["gossipd", "etcd"])):
        chosen = getattr(options, name).split(",")
        if set(chosen) - set(known):
            parser.error(f"--{name} takes some of {','.join(known)}")
        setattr(options, name, chosen)
    return options


def ended(number, _):
    sys.exit(f"strict_bench.py: ended by {signal.Signals(number).name}")


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, ended)
    signal.alarm(options.limit)
    if "etcd" in options.systems and not etcd.version():
        progress("etcd is not installed (apt-get install etcd-server): gossipd is measured alone")
        options.systems.remove("etcd")
    print(f"load average at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
          + (f"; etcd {etcd.version()}, over gRPC" if "etcd" in options.systems else "")
          + ("; gossipd by POST /v1/calls on its Unix socket" if "gossipd" in options.systems else ""))
    folder, reader = tempfile.mkdtemp(prefix="gossipd-strict.", dir=options.folder), LogReader()
    groups, results = [], {"load_average": os.getloadavg()}
    try:
        if "gossipd" in options.systems:
            groups.append(strict_groups.Gossipd(options.programs, folder, reader))
        if "etcd" in options.systems:
            groups.append(strict_groups.Etcd(folder, reader))
        for group in groups:
            group.start()
        for group in groups:
            progress(f"{group.title}: {settled(group)} leads")
        if "load" in options.parts:
            measure_load(options, groups, folder, results)
        if "failover" in options.parts:
            measure_failover(options, groups, results)
    except (RuntimeError, TimeoutError):
        for when, name, text in reader.lines[-20:]:
            print(f"    {name} {text[:300]}", file=sys.stderr)
        raise
    finally:
        for group in groups:
            group.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nload average at the end: {os.getloadavg()[0]:.1f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=2)


main()
