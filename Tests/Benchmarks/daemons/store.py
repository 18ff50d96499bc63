# SPDX-License-Identifier: Apache-2.0
"""Owns the measurements of the durable store: writes and reads beside etcd, a large store and what takes it over, spreading."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import admin
import etcd
import gossipd
import takeover
from figures import disk_floor, percentile, progress
from processes import LogReader

PARTS = ("load", "large", "catchup", "reset", "restore", "spread", "repair")
CLIENTS = (1, 16, 256)
# Operation, clients, requests a second of all of them (0: as many as they can).
LOADS = [("put", count, 0) for count in CLIENTS] + [("get", 1, 0), ("get", 16, 2_000), ("get", 16, 0)]
VALUE_BYTES = 100
# Of one import; the daemon takes at most 16384 writes at a time.
CHUNK = 10_000


def generate(options, node, api, operation, clients, *further):
    """One run of the generator: its figures."""
    command = [
        os.path.join(options.programs, "gossipbench"), "load", operation, "--api", api, "--target", node.target,
        "--clients", str(clients), "--value-bytes", str(VALUE_BYTES), "--keys", str(options.load_keys), *further]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def load(options, node, api, operation, clients, rate):
    """One measured run, and the CPU that the daemon spent on a request."""
    cpu = node.process.cpu()
    figures = generate(
        options, node, api, operation, clients, "--rate", str(rate), "--seconds", str(options.seconds))
    # The second of warming up counts for the CPU and not for the requests.
    share = options.seconds / (options.seconds + 1)
    figures["cpu_us"] = (node.process.cpu() - cpu) * share / max(1, figures["requests"]) * 1e6
    return figures


class Single:
    """One gossipd, in the shape of `etcd.Node`."""
    title = "gossipd"

    def __init__(self, options, folder, reader):
        self.cluster = gossipd.Cluster(options.programs, folder, 1, reader)
        self.target = "unix:" + self.cluster.socket("n1")

    @property
    def process(self):
        return self.cluster.processes["n1"]

    def start(self):
        took = self.cluster.form()
        # The daemon serves 256 connections at a time, and the generator wants all of them.
        self.cluster.clients.pop("n1").close()
        return took

    def stop(self):
        self.cluster.stop()


def measure_load(options, folder, reader, results):
    nodes = [(Single(options, folder, reader), "gossipd")]
    if options.etcd:
        nodes.append((etcd.Node(folder, reader), "etcd"))
    rounds = {}
    try:
        for node, _ in nodes:
            node.start()
        for node, api in nodes:
            # Every key is there to be read, however slow the writers are.
            generate(options, node, api, "put", 16, "--fill")
        floors = [disk_floor(folder)]
        for turn in range(options.rounds):
            # In turn, and each round in the other order: what else the machine does hits both.
            order = nodes if turn % 2 == 0 else nodes[::-1]
            for operation, clients, rate in LOADS:
                for node, api in order:
                    figures = load(options, node, api, operation, clients, rate)
                    rounds.setdefault((operation, clients, rate), {}).setdefault(node.title, []).append(figures)
            floors.append(disk_floor(folder))
            progress(f"load: round {turn + 1} of {options.rounds} done")
    finally:
        for node, _ in nodes:
            node.stop()
    print(f"\nOne node, values of {VALUE_BYTES} bytes, over HTTP; medians of {options.rounds} rounds of "
          f"{options.seconds} s; the disk gives {statistics.median(floors):.0f} fdatasync/s to one writer")
    print(f"{'':<26}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>9}   ratio to etcd: rate, p50, p99, CPU")
    table = {}
    for (operation, clients, rate), titles in rounds.items():
        paced = f"{rate}/s" if rate else ""
        medians = {
            title: {name: statistics.median(run[name] for run in runs)
                    for name in ("per_second", "p50_ms", "p99_ms", "cpu_us")}
            for title, runs in titles.items()}
        table[f"{operation} {clients} {paced}".strip()] = medians
        for title, m in medians.items():
            line = (f"{operation:<4}{clients:>4} {paced:<7} {title:<9}{m['per_second']:>12.0f}{m['p50_ms']:>10.3f}"
                    f"{m['p99_ms']:>10.3f}{m['cpu_us']:>9.0f}")
            if title == "gossipd" and "etcd" in medians:
                line += "  " + "".join(f"{m[name] / max(1e-9, medians['etcd'][name]):>8.2f}" for name in m)
            print(line)
    results["load"] = {"floor": floors, "medians": table}


def key(number):
    return f"bench/service-{number % 1000:03}/item-{number:07}"


def fill(client, keys):
    """Writes all keys by imports; returns the bytes of keys and values."""
    size = 0
    for start in range(0, keys, CHUNK):
        lines, numbers = [], range(start, min(start + CHUNK, keys))
        for number in numbers:
            name = key(number)
            value = f"{number:010}".ljust(VALUE_BYTES, "v")
            size += len(name) + len(value)
            lines.append(f'{{"key":"{name}","type":"register","value":"{value}"}}\n')
        status, body = client.request("POST", "/v1/import", "".join(lines).encode())
        if status != 200:
            raise RuntimeError(f"import: {status} {body[:300]!r}")
    return size


def disk_bytes(folder):
    return {name: os.path.getsize(os.path.join(folder, name))
            for name in sorted(os.listdir(folder)) if name.startswith("store.db")}


def opened_in(reader, mark):
    """Milliseconds that the daemon's log states for the opening."""
    with reader.news:
        lines = [text for _, _, text in reader.lines[mark:] if "the store is open" in text]
    return float(lines[-1].split("keys, ")[1].split(" ms")[0])


def ready(text):
    return "gossipd is ready" in text


def end(process):
    """Stops a daemon in order; seconds."""
    begin = time.monotonic()
    process.child.terminate()
    process.child.wait(60)
    return time.monotonic() - begin


def fill_large(cluster, options, figures, reader):
    mark = reader.mark()
    cluster.launch("n1")
    reader.first(mark, ["n1"], ready, 30)
    client = admin.Client(cluster.socket("n1"))
    client.connection.settimeout(60)
    process, begin = cluster.processes["n1"], time.monotonic()
    figures["data"] = fill(client, options.keys)
    figures["fill_s"], figures["fill_cpu"] = time.monotonic() - begin, process.cpu()
    figures["filled_memory"] = process.memory()
    figures["filled_disk"] = disk_bytes(os.path.join(cluster.folder, "n1"))
    client.close()
    progress(f"large: filled in {figures['fill_s']:.1f} s")


def measure_large(options, folder, reader, results):
    """Leaves the cluster with its one node running, for catching up."""
    cluster = gossipd.Cluster(options.programs, folder, 3, reader)
    if "reset" in options.parts:
        cluster.configuration = os.path.join(folder, "quick.toml")
        with open(cluster.configuration, "w") as file:
            file.write(takeover.QUICK)
    figures = {"keys": options.keys}
    if options.filled:
        shutil.copytree(options.filled, os.path.join(folder, "n1"))
        figures["data"] = sum(len(key(number)) + VALUE_BYTES for number in range(options.keys))
        cluster.launch("n1")
        reader.first(0, ["n1"], ready, 120)
    else:
        fill_large(cluster, options, figures, reader)
    figures["opens"] = []
    for _ in range(options.opens):
        stop = end(cluster.processes["n1"])
        disk = disk_bytes(os.path.join(folder, "n1"))
        mark = reader.mark()
        cluster.launch("n1")
        process = cluster.processes["n1"]
        seen = reader.first(mark, ["n1"], ready, 120)
        cpu, memory = process.cpu(), process.memory()
        figures["opens"].append({
            "stop_s": stop, "ready_s": seen["n1"] - process.started, "cpu_s": cpu,
            "open_ms": opened_in(reader, mark), "memory": memory, "disk": disk})
    cluster.clients["n1"] = admin.Client(cluster.socket("n1"))
    status = cluster.clients["n1"].json("/v1/status")
    if status["store"]["keys"] != options.keys:
        raise RuntimeError(f"{status['store']['keys']} of {options.keys} keys are there again")
    one = {name: statistics.median(run[name] for run in figures["opens"])
           for name in ("stop_s", "ready_s", "cpu_s", "open_ms")}
    memory, disk = figures["opens"][-1]["memory"], figures["opens"][-1]["disk"]
    data = figures["data"]
    print(f"\nA store of {options.keys} keys, values of {VALUE_BYTES} bytes: {data / 1e6:.0f} MB of keys and values")
    if "fill_s" in figures:
        print(f"fill by imports of {CHUNK}: {figures['fill_s']:.1f} s, {options.keys / figures['fill_s']:.0f} keys/s, "
              f"{figures['fill_cpu'] / options.keys * 1e6:.1f} us CPU a key; then "
              f"{figures['filled_memory']['rss'] / 1e6:.0f} MB resident, "
              f"{sum(figures['filled_disk'].values()) / 1e6:.1f} MB on disk")
    print(f"open, median of {options.opens}: {one['open_ms'] / 1e3:.2f} s; ready {one['ready_s']:.2f} s after the "
          f"start; CPU until then {one['cpu_s']:.2f} s; stop {one['stop_s']:.2f} s")
    print(f"memory once ready: {memory['rss'] / 1e6:.0f} MB resident, {memory['private'] / 1e6:.0f} MB private "
          f"({memory['private'] / options.keys:.0f} bytes a key)")
    print("disk: " + ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in disk.items())
          + f" ({sum(disk.values()) / data:.2f} times the data)")
    results["large"] = figures
    return cluster


def measure_catchup(options, cluster, data, results):
    """A fresh node joins the one with the large store, while clients go on writing there."""
    writer = cluster.clients["n1"]
    before = writer.metrics()
    cpu = cluster.processes["n1"].cpu()
    notes = takeover.Notifications(cluster.folder, "n2")
    cluster.environments["n2"] = notes.environment
    mark, told = cluster.reader.mark(), set()
    cluster.launch("n2", "n1")
    begin, puts, fresh, keys = time.monotonic(), [], None, 0
    spread_before = spread_after = 0.0
    while True:
        sent = time.monotonic()
        status, body = writer.request("PUT", f"/v1/kv/during/{len(puts)}", b"x" * VALUE_BYTES)
        if status == 503 and not puts:
            # It has just been started, and its disk is slow.
            continue
        puts.append(time.monotonic() - sent)
        if status != 200:
            raise RuntimeError(f"put: {status} {body[:200]!r}")
        try:
            fresh = fresh or admin.Client(cluster.socket("n2"))
            store = fresh.json("/v1/status")["store"]
            keys = store["keys"]
            if store.get("catch_up"):
                told.add(store["catch_up"]["received"])
        except (FileNotFoundError, ConnectionError):
            fresh = None
        if keys >= options.keys:
            break
        if time.monotonic() - begin > options.catchup_limit:
            raise TimeoutError(f"the fresh node has {keys} of {options.keys} keys after {options.catchup_limit} s")
        time.sleep(0.02)
    took = time.monotonic() - begin
    after = writer.metrics()
    deadline = time.monotonic() + 30
    while writer.json("/v1/status")["store"]["root"] != fresh.json("/v1/status")["store"]["root"]:
        if time.monotonic() > deadline:
            raise TimeoutError("the roots are not equal 30 s after the fresh node has all keys")
        time.sleep(0.02)
    equal = time.monotonic() - begin
    peak = cluster.processes["n2"].memory()["rss"]
    durable = takeover.settled(cluster.processes["n2"], options.catchup_limit) - begin
    after = writer.metrics()
    stream = 'gossipd_stream_bytes_total{direction="%s"}'
    datagram = 'gossipd_datagram_bytes_total{direction="sent"}'
    sent, received = (after[stream % way] - before[stream % way] for way in ("sent", "received"))
    gossip = after[datagram] - before[datagram]
    cpus = cluster.processes["n1"].cpu() - cpu, cluster.processes["n2"].cpu()
    memory = cluster.processes["n2"].memory()
    print(f"\nA fresh node beside it: all {options.keys} keys after {took:.1f} s, equal roots after {equal:.1f} s, "
          f"all on its disk after {durable:.1f} s; CPU {cpus[0]:.1f} s there, {cpus[1]:.1f} s here")
    print(f"bytes on streams: {sent / 1e6:.1f} MB to it ({sent / data:.3f} times keys and values), "
          f"{received / 1e6:.3f} MB back; gossip {gossip / 1e6:.2f} MB")
    print(f"puts at the serving node meanwhile: {len(puts)}, p50 {percentile(puts, 50) * 1e3:.2f} ms, p99 "
          f"{percentile(puts, 99) * 1e3:.1f} ms, slowest {max(puts) * 1e3:.0f} ms; the fresh node has "
          f"{peak / 1e6:.0f} MB resident with all keys, {memory['rss'] / 1e6:.0f} MB once they are on its disk")
    with cluster.reader.news:
        logged = sum('"catch_up"' in text for _, process, text in cluster.reader.lines[mark:] if process == "n2")
    lines = [line for line in notes.statuses(begin) if "catching up" in line]
    print(f"progress was told {len(told)} times by the status, {len(lines)} times by STATUS=, {logged} times by the log; "
          f"longest silence to the watchdog {notes.longest_silence(begin, time.monotonic()):.1f} s")
    results["catchup"] = {
        "watchdog_beats": [when - begin for when in notes.beats(begin, time.monotonic())],
        "seconds": took, "equal_seconds": equal, "durable_seconds": durable, "peak": peak, "sent": sent,
        "received": received, "gossip": gossip, "cpu": cpus, "puts": puts, "memory": memory}
    fresh.close()


def measure_spread(options, folder, reader, results):
    cluster = gossipd.Cluster(options.programs, folder, options.nodes, reader)
    try:
        cluster.form()
        time.sleep(3)
        times = cluster.spread(options.trials)
    finally:
        cluster.stop()
    print(f"\nOne put until all {options.nodes} local nodes show it: median {statistics.median(times) * 1e3:.1f} ms, p99 "
          f"{percentile(times, 99) * 1e3:.1f} ms, slowest of {len(times)} {max(times) * 1e3:.1f} ms")
    results["spread"] = times


def measure_repair(options, results):
    run = subprocess.run(
        [os.path.join(options.programs, "gossipbench"), "repair", "--rows", str(options.repair_rows), "--json"],
        capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"gossipbench repair: {run.stdout}{run.stderr}")
    results["repair"] = json.loads(run.stdout)
    print(f"\nRepair between two kernels with {options.repair_rows} rows each")
    print(f"{'way':<10}{'differences':>12}{'rounds':>8}{'bytes':>12}{'of rows':>12}{'beside':>10}{'further':>12}")
    for one in results["repair"]["repairs"]:
        beside = one["bytes"] - one["row_bytes"]
        print(f"{one['way']:<10}{one['differences']:>12}{one['round_trips']:>8}{one['bytes']:>12}{one['row_bytes']:>12}"
              f"{beside:>10}{one['further_bytes']:>12}")
    print("further: bytes of other exchanges, as when both nodes begin one at the same moment")


def parse():
    parser = argparse.ArgumentParser(
        prog="store.py", description="Measure the durable store of real daemons, beside etcd where it is installed.")
    parser.add_argument("programs", metavar="FOLDER-OF-PROGRAMS", help="where gossipd and gossipbench are")
    parser.add_argument("--parts", default=",".join(PARTS), help="which of " + ", ".join(PARTS) + " (default all)")
    parser.add_argument("--seconds", type=int, default=3, help="of each load (default 3)")
    parser.add_argument("--rounds", type=int, default=2, help="of all loads, in turn (default 2)")
    parser.add_argument("--load-keys", type=int, default=10_000, help="different keys under load (default 10000)")
    parser.add_argument("--keys", type=int, default=1_000_000, help="of the large store (default 1000000)")
    parser.add_argument("--repair-rows", type=int, default=20_000, help="of each kernel in repair (default 20000)")
    parser.add_argument("--opens", type=int, default=3, help="starts with the large store (default 3)")
    parser.add_argument("--nodes", type=int, default=30, help="daemons that a put spreads to (default 30)")
    parser.add_argument("--trials", type=int, default=101, help="puts whose spread is measured (default 101)")
    parser.add_argument("--catchup-limit", type=int, default=180, help="seconds a fresh node may take (default 180)")
    parser.add_argument("--filled", help="a data directory that holds the large store's keys already; it is copied")
    parser.add_argument("--folder", help="where the daemons keep their data (default: a temporary folder)")
    parser.add_argument("--limit", type=int, default=900, help="seconds after which all ends (default 900)")
    parser.add_argument("--no-etcd", dest="etcd", action="store_false", help="leave etcd out")
    parser.add_argument("--json", metavar="FILE", help="write all figures there, in seconds and bytes")
    options = parser.parse_args()
    options.parts = options.parts.split(",")
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if "reset" in options.parts and "catchup" not in options.parts:
        parser.error("the node that resets is the one that catches up: give catchup too")
    return options


def ended(number, _):
    sys.exit(f"store.py: ended by {signal.Signals(number).name}")


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, ended)
    signal.alarm(options.limit)
    if options.etcd and not etcd.version():
        progress("etcd is not installed (apt-get install etcd-server): gossipd is measured alone")
        options.etcd = False
    elif options.etcd:
        progress(f"etcd {etcd.version()} is measured too")
    print(f"load average at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    folder, reader, results = tempfile.mkdtemp(prefix="gossipd-store.", dir=options.folder), LogReader(), {}
    try:
        if "load" in options.parts:
            measure_load(options, folder, reader, results)
        if {"large", "catchup", "restore"} & set(options.parts):
            large = os.path.join(folder, "large")
            os.mkdir(large)
            cluster = None
            try:
                cluster = measure_large(options, large, reader, results)
                if "catchup" in options.parts:
                    measure_catchup(options, cluster, results["large"]["data"], results)
                if "reset" in options.parts:
                    takeover.measure_reset(cluster, options.catchup_limit, results)
                if "restore" in options.parts:
                    takeover.measure_restore(cluster, options.catchup_limit, results)
            finally:
                if cluster:
                    cluster.stop()
            shutil.rmtree(large, ignore_errors=True)
        if "spread" in options.parts:
            spread = os.path.join(folder, "spread")
            os.mkdir(spread)
            measure_spread(options, spread, reader, results)
        if "repair" in options.parts:
            measure_repair(options, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nload average at the end: {os.getloadavg()[0]:.1f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=2)


main()
