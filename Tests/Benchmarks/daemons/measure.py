# SPDX-License-Identifier: Apache-2.0
"""Owns the run: which clusters, in which order, and the table at the end."""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

import gossipd
import serf
import traffic
from figures import percentile
from processes import LogReader, wakeups

# name in JSON, row of the table, unit, factor, digits
ROWS = [
    ("formation", "formed after the last start", "s", 1, 2),
    ("spread_median", "change or event on all nodes, median", "ms", 1e3, 1),
    ("spread_max", "the same, slowest", "ms", 1e3, 1),
    ("kill_median", "kill -9 known to all survivors, median", "s", 1, 2),
    ("kill_max", "the same, slowest", "s", 1, 2),
    ("rss", "idle: resident memory", "MB", 1e-6, 1),
    ("pss", "idle: proportional share (PSS)", "MB", 1e-6, 1),
    ("private", "idle: private memory", "MB", 1e-6, 1),
    ("threads", "idle: threads", "", 1, 0),
    ("wakeups", "idle: wake-ups", "/s", 1, 1),
    ("cpu", "idle: CPU (utime + stime)", "%", 100, 3),
    ("udp_packets", "idle: UDP packets sent", "/s", 1, 2),
    ("udp_payload", "idle: UDP payload sent", "B/s", 1, 0),
    ("udp_bytes", "idle: UDP sent with IP and UDP headers", "B/s", 1, 0),
    ("stream_bytes", "idle: TCP sent with headers", "B/s", 1, 0),
    ("captured_packets_lost", "idle: packets not counted, too many on loopback", "", 1, 0),
    ("put_p50", "put over the socket, 1 connection, p50", "ms", 1e3, 3),
    ("put_p99", "put, p99", "ms", 1e3, 3),
    ("read_p50", "local read over the socket, p50", "ms", 1e3, 3),
    ("read_p99", "local read, p99", "ms", 1e3, 3),
]


def idle(cluster, seconds):
    """Means over the nodes; memory at the end of the time."""
    processes = list(cluster.processes.values())
    time.sleep(3)
    capture = traffic.start(cluster.ports.values())
    counted = cluster.counters()
    cpu, sleeps, begin = [p.cpu() for p in processes], [p.sleeps() for p in processes], time.monotonic()
    time.sleep(seconds)
    cpu_after, sleeps_after = [p.cpu() for p in processes], [p.sleeps() for p in processes]
    took = time.monotonic() - begin
    nodes = len(processes)
    figures = {
        "cpu": sum(b - a for a, b in zip(cpu, cpu_after)) / took / nodes,
        "wakeups": sum(wakeups(a, b) for a, b in zip(sleeps, sleeps_after)) / took / nodes,
        "threads": statistics.mean(p.threads() for p in processes),
    }
    memory = [process.memory() for process in processes]
    for kind in ("rss", "pss", "private"):
        figures[kind] = statistics.mean(one[kind] for one in memory)
        figures[kind + "_range"] = (min(one[kind] for one in memory), max(one[kind] for one in memory))
    if counted:
        packets, payload, _ = (b - a for a, b in zip(counted, cluster.counters()))
        figures["own_packets"], figures["own_payload"] = packets / took / nodes, payload / took / nodes
        # Payload and the 28 bytes of the IPv4 and UDP headers: what the capture counts on the wire.
        figures["udp_packets"], figures["udp_payload"] = figures["own_packets"], figures["own_payload"]
        figures["udp_bytes"] = (payload + 28 * packets) / took / nodes
    if capture:
        figures["captured_packets_lost"] = capture.finish()
        packets = capture.packets[traffic.UDP]
        figures["udp_packets"] = packets / took / nodes
        figures["udp_bytes"] = capture.bytes[traffic.UDP] / took / nodes
        figures["udp_payload"] = (capture.bytes[traffic.UDP] - 28 * packets) / took / nodes
        figures["stream_bytes"] = capture.bytes[traffic.TCP] / took / nodes
    return figures


def measure(kind, options, nodes, reader):
    folder = tempfile.mkdtemp(prefix="gossipd-bench.")
    cluster = kind.Cluster(options.programs, folder, nodes, reader)
    try:
        figures = {"formation": cluster.form(), "load": os.getloadavg()[0]}
        progress(f"{cluster.title}, {nodes} nodes: formed")
        figures.update(idle(cluster, options.idle))
        progress(f"{cluster.title}, {nodes} nodes: idle measured")
        latencies = cluster.latencies(options.requests, options.requests)
        if latencies:
            for name, times in zip(("put", "read"), latencies):
                figures[name + "_p50"], figures[name + "_p99"] = percentile(times, 50), percentile(times, 99)
        times = cluster.spread(options.trials)
        figures["spread_median"], figures["spread_max"] = statistics.median(times), max(times)
        kills = []
        for trial in range(options.kills):
            # Not the first: the others join through it.
            name = cluster.names[1 + trial % (nodes - 1)]
            kills.append(cluster.kill(name))
            cluster.restart(name)
        if kills:
            figures["kill_median"], figures["kill_max"] = statistics.median(kills), max(kills)
        figures["kills"], figures["spreads"] = kills, times
        progress(f"{cluster.title}, {nodes} nodes: done")
        return figures
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def table(results, nodes):
    titles = [title for title in results if nodes in results[title]]
    print(f"\n{nodes} nodes on loopback, per node" + "".join(f"{title:>14}" for title in titles).rjust(26), end="")
    print("         ratio" if len(titles) == 2 else "")
    for name, text, unit, factor, digits in ROWS:
        values = [results[title][nodes].get(name) for title in titles]
        if all(value is None for value in values):
            continue
        cells = "".join("-".rjust(14) if v is None else f"{v * factor:14.{digits}f}" for v in values)
        ratio = ""
        if len(values) == 2 and None not in values and values[1]:
            ratio = f"{values[0] / values[1]:14.3f}"
        print(f"{text + (f' ({unit})' if unit else ''):<50}{cells}{ratio}")


def options():
    parser = argparse.ArgumentParser(
        prog="daemons.sh", description="Measure clusters of real daemons on loopback, beside Serf where installed.")
    parser.add_argument("programs", metavar="FOLDER-OF-PROGRAMS", help="where gossipd is")
    parser.add_argument("--nodes", default="5,30", help="sizes of clusters (default 5,30)")
    parser.add_argument("--idle", type=float, default=30, help="seconds of idleness measured (default 30)")
    parser.add_argument("--trials", type=int, default=21, help="changes whose spread is measured (default 21)")
    parser.add_argument("--kills", type=int, default=5, help="nodes that are killed one after the other (default 5)")
    parser.add_argument("--requests", type=int, default=2000, help="puts and reads that are timed (default 2000)")
    parser.add_argument("--limit", type=int, default=900, help="seconds after which all ends (default 900)")
    parser.add_argument("--no-serf", action="store_true", help="leave Serf out")
    parser.add_argument("--only-serf", action="store_true", help="leave gossipd out")
    parser.add_argument("--json", metavar="FILE", help="write all figures there, in seconds and bytes")
    return parser.parse_args()


def ended(number, _):
    sys.exit(f"daemons.sh: ended by {signal.Signals(number).name}")


def main():
    chosen = options()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, ended)
    signal.alarm(chosen.limit)
    kinds = [] if chosen.only_serf else [gossipd]
    version = serf.version()
    if chosen.no_serf:
        pass
    elif version:
        kinds.append(serf)
        progress(f"Serf {version} is measured too")
    else:
        progress("Serf is not installed (apt-get install serf): gossipd is measured alone")
    results = {}
    sizes = [int(size) for size in chosen.nodes.split(",")]
    for nodes in sizes:
        for kind in kinds:
            # A reader of its own, so that no line of an earlier cluster is looked at.
            results.setdefault(kind.Cluster.title, {})[nodes] = measure(kind, chosen, nodes, LogReader())
    for nodes in sizes:
        table(results, nodes)
    print(
        "\nMemory and CPU are means over the nodes. UDP and TCP bytes are counted on the loopback device with their IP"
        "\nheaders" + ("" if os.geteuid() == 0 else " when this runs as root; UDP is otherwise the daemons' own count")
        + ". A ratio below 1 is in favour of gossipd.")
    if chosen.json:
        with open(chosen.json, "w") as file:
            json.dump(results, file, indent=2)


main()
