# SPDX-License-Identifier: Apache-2.0
"""Owns the run of all cases: a fleet on its own network for each kind, the verdicts, the clean-up."""

import argparse
import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "Benchmarks", "daemons")]

import cases  # noqa: E402
from bridge import missing_tools  # noqa: E402


def options():
    parser = argparse.ArgumentParser(
        prog="test-network", description="Real daemons in network namespaces under faults of the network. Needs root.")
    parser.add_argument("programs", metavar="FOLDER-OF-PROGRAMS", help="where gossipd is")
    parser.add_argument("--only", default="", help="names of cases, with commas")
    parser.add_argument("--seed", type=int, default=1, help="of the switch's faults (default 1)")
    parser.add_argument("--limit", type=int, default=900, help="seconds after which all ends (default 900)")
    return parser.parse_args()


def ended(number, _):
    sys.exit(f"test-network: ended by {signal.Signals(number).name}")


def run_case(case, make_network, make_fleet, programs):
    """The reason why the case failed, or None. Each has a network and daemons of its own."""
    network, fleet = make_network(), None
    try:
        network.up()
        fleet = make_fleet(network, programs)
        fleet.form()
        time.sleep(1)
        case(fleet, network)
        return None
    except (AssertionError, TimeoutError, RuntimeError, OSError, KeyError) as failure:
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
    unknown = set(wanted) - {case.__name__ for case, *_ in cases.CASES}
    if unknown:
        sys.exit(f"test-network: there is no case {', '.join(sorted(unknown))}")
    passed, failed = 0, []
    for case, kind, make_fleet in cases.CASES:
        if wanted and case.__name__ not in wanted:
            continue
        begin = time.monotonic()
        count = cases.NODES
        network = (lambda: kind(count, chosen.seed)) if kind is cases.Switch else (lambda: kind(count))
        reason = run_case(case, network, make_fleet, chosen.programs)
        took = time.monotonic() - begin
        title = case.__name__ + (", sealed" if make_fleet is cases.SealedGossipd else "")
        print(f"{'FAILED' if reason else 'ok    '} {title:<28} {took:6.1f} s  {reason or case.__doc__.splitlines()[0]}",
              flush=True)
        if reason:
            failed.append(case.__name__)
        else:
            passed += 1
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
