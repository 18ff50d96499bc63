# SPDX-License-Identifier: Apache-2.0
"""Owns what the benchmarks share: how far they are, percentiles, and what the disk gives."""

import os
import sys
import time


def progress(text):
    print(text, file=sys.stderr, flush=True)


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def disk_floor(folder, seconds=1.0):
    """Appends of 4 KiB with fdatasync, one after the other: what the disk gives to one writer, a second."""
    path = os.path.join(folder, "floor")
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    block, count, begin = b"x" * 4096, 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        os.write(descriptor, block)
        os.fdatasync(descriptor)
        count += 1
    took = time.monotonic() - begin
    os.close(descriptor)
    os.unlink(path)
    return count / took
