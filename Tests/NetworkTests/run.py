# SPDX-License-Identifier: Apache-2.0
"""Owns the run of all cases: a fleet on its own network for each kind, the verdicts, the clean-up."""

import argparse
import os
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "Benchmarks", "daemons")]

import agents  # noqa: E402
import cases  # noqa: E402
import identity  # noqa: E402
import strict  # noqa: E402
from bridge import missing_tools  # noqa: E402

STRICT = [case for case, _ in strict.CASES]


def options():
    parser = argparse.ArgumentParser(
        prog="test-network", description="Real daemons in network namespaces under faults of the network. Needs root.")
    parser.add_argument("programs", metavar="FOLDER-OF-PROGRAMS", help="where gossipd is")
    parser.add_argument("--only", default="", help="names of cases, with commas")
    parser.add_argument("--unkeyed", action="store_true", help="without a key; cases that need sealing are left out")
    parser.add_argument("--seed", type=int, default=1, help="of the switch's faults (default 1)")
    parser.add_argument("--strict", action="store_true", help="the cases of strict keys only")
    parser.add_argument("--seconds", type=int, default=60, help="of faults in cases of strict keys (default 60)")
    parser.add_argument(
        "--strict-system", choices=sorted(strict.FLEETS), default="gossipd",
        help="what the cases of strict keys run on: etcd tries the cases themselves (default gossipd)")
    parser.add_argument(
        "--consistency", choices=["linearizable", "local"],
        help="of the reads in cases of strict keys; with local ones they must fail, which tries the cases themselves")
    parser.add_argument("--limit", type=int, default=2400, help="seconds after which all ends (default 2400)")
    return parser.parse_args()


def ended(number, _):
    sys.exit(f"test-network: ended by {signal.Signals(number).name}")


def make_fleet(case, network, chosen):
    if case in STRICT:
        return strict.make_fleet(case, chosen.strict_system, network, chosen)
    return agents.Gossipd(network, chosen.programs, not chosen.unkeyed)


def run_case(case, make_network, chosen):
    """The reason why the case failed, or None. Each has a network and daemons of its own."""
    network, fleet = make_network(), None
    try:
        network.up()
        fleet = make_fleet(case, network, chosen)
        fleet.form()
        time.sleep(1)
        case(fleet, network)
        return None
    except (AssertionError, TimeoutError, RuntimeError, OSError, KeyError, subprocess.SubprocessError) as failure:
        traceback.print_exc()
        if fleet:
            for when, name, text in fleet.reader.lines[-12:]:
                print(f"    {name} {text[:300]}", file=sys.stderr)
        return str(failure)
    finally:
        if fleet:
            fleet.stop()
        network.down()


def main():
    chosen = options()
    lacking = missing_tools()
    if lacking:
        print(f"skipped: {lacking}")
        return 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, ended)
    signal.alarm(chosen.limit)
    wanted = [name for name in chosen.only.split(",") if name]
    every = strict.CASES if chosen.strict else cases.CASES + identity.CASES + strict.CASES
    unknown = set(wanted) - {case.__name__ for case, _ in every}
    if unknown:
        sys.exit(f"test-network: there is no case {', '.join(sorted(unknown))}")
    passed, failed = 0, []
    print(f"{len(wanted or every)} cases, {cases.NODES} nodes each if not said otherwise, "
          f"{'plain' if chosen.unkeyed else 'sealed with a key'}", flush=True)
    for case, kind in every:
        if wanted and case.__name__ not in wanted:
            continue
        if chosen.unkeyed and case in cases.NEED_KEY:
            print(f"left out {case.__name__}: it needs a key")
            continue
        begin = time.monotonic()
        count = getattr(case, "nodes", cases.NODES)
        network = (lambda: kind(count, chosen.seed)) if kind is cases.Switch else (lambda: kind(count))
        reason = run_case(case, network, chosen)
        took = time.monotonic() - begin
        print(f"{'FAILED' if reason else 'ok    '} {case.__name__:<28} {took:6.1f} s  {reason or case.__doc__.splitlines()[0]}",
              flush=True)
        if reason:
            failed.append(case.__name__)
        else:
            passed += 1
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
