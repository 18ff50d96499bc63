#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Owns the run of the system tests: builds the packages, boots five hosts, runs the cases in order, cleans up.

run.py [--root FOLDER] [CASE...]: with CASEs only those, after the installation and the forming of the cluster. The cases
share the hosts: each leaves the cluster whole. Takes about seven minutes besides the builds; ends after LIMIT at the latest.
"""

import argparse
import os
import pathlib
import signal
import sys
import tempfile
import time
import traceback

import cases_delivery
import cases_fleet
import cases_host
import packages
import root
from lab import Lab, Trouble, note

# Seconds for all cases together, without the builds: on a machine with ten times as much to do they have taken 920.
LIMIT = 1_800
FIRST = (cases_host.install, cases_host.status_line)
CASES = (
    cases_host.exposure, cases_host.limits, cases_host.sandbox, cases_host.reload, cases_host.journal_fields, cases_host.repeats,
    cases_fleet.restart, cases_fleet.stop, cases_host.crash, cases_host.watchdog, cases_host.backoff,
    cases_host.credentials, cases_host.instances,
    cases_delivery.upstreams_follow, cases_delivery.refusals, cases_delivery.kills, cases_delivery.one_reload,
    cases_delivery.looks, cases_delivery.helper_sandbox, cases_fleet.reboot, cases_fleet.power_cut, cases_fleet.upgrade,
    cases_fleet.protocols, cases_fleet.purge)


class Packages:
    """What the cases install."""

    version = staticmethod(packages.version)

    def __init__(self, needs_following, package):
        self.current = pathlib.Path(package).resolve() if package else packages.build()
        self.later = packages.repack(self.current, "+1")
        self.following = packages.repack(self.current, "+2", packages.next_daemon()) if needs_following else None


class OutOfTime(Exception):
    """The limit of the whole run has passed."""


def out_of_time(*_):
    raise OutOfTime(f"not done in {LIMIT} s")


def explain(lab):
    """What the hosts say when a case has failed."""
    for host in lab.hosts:
        try:
            lines = host.run("journalctl", "--no-pager", "-u", "gossipd*", "-n", "20", "-o", "short-precise", timeout=10)
        except (Trouble, OSError, TimeoutError) as trouble:
            lines = f"no journal: {trouble}"
        note(f"---- {host.name}\n{lines}")


def run(lab, cases, prepared):
    """Runs every case, also after one that failed; returns the names of those that did."""
    failed = []
    for case in cases:
        note(f"{case.__name__}: {case.__doc__}")
        began = time.monotonic()
        try:
            case(lab, prepared)
        except OutOfTime:
            note(f"FAILED: {case.__name__}\n{traceback.format_exc(limit=-3)}")
            failed.append(case.__name__)
            break
        except Exception:  # pylint: disable=broad-exception-caught
            note(f"FAILED: {case.__name__}\n{traceback.format_exc(limit=-3)}")
            explain(lab)
            failed.append(case.__name__)
            if case in FIRST:
                break
            continue
        note(f"  ok, {time.monotonic() - began:.1f} s")
    return failed


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", default=str(packages.BUILD / "systemd-root"))
    arguments.add_argument("--package", help="this package instead of one that is built now")
    arguments.add_argument("case", nargs="*")
    chosen = arguments.parse_args()
    if os.geteuid() != 0:
        note("skipped: containers need root")
        return 0
    names = {case.__name__: case for case in CASES}
    unknown = set(chosen.case) - set(names)
    if unknown:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    cases = [case for case in CASES if not chosen.case or case.__name__ in chosen.case]
    folder = root.ensure(chosen.root)
    prepared = Packages(cases_fleet.protocols in cases, chosen.package)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(1))
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(LIMIT)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gossipd-system-", dir=packages.BUILD) as place:
        with Lab(folder, place, 5) as lab:
            note(f"five hosts with systemd as process 1, up in {time.monotonic() - began:.1f} s")
            failed = run(lab, [*FIRST, *cases], prepared)
        signal.alarm(0)
    if failed:
        note(f"failed: {', '.join(failed)}")
        return 1
    note(f"{len(FIRST) + len(cases)} cases passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
