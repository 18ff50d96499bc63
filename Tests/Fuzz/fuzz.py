# SPDX-License-Identifier: Apache-2.0
"""Owns the run of the fuzzer over all targets: two at a time, one line for each, and every finding minimised and kept as an
input of Tests/FuzzTests."""

import argparse
import concurrent.futures
import hashlib
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]

import seeds  # noqa: E402

TARGETS = (
    "http", "kernel", "group", "voter", "strict", "calls", "packet", "stream", "sealed", "ring", "backup", "config")
INPUTS = os.path.normpath(os.path.join(HERE, "..", "FuzzTests", "Inputs"))
# Larger than what a seed has; a whole datagram fits, and a kernel gets many steps.
LENGTH_MAX = {"kernel": 16_384, "group": 16_384, "voter": 16_384, "strict": 8_192, "config": 16_384, "http": 8_192, "backup": 4_096,
              "calls": 4_096}
SECONDS_PER_INPUT_MAX = 20
MEGABYTES_MAX = 2_048
MINIMISE_SECONDS = 20
running = set()


class Target:
    def __init__(self, name, program, work, seconds):
        self.name, self.program, self.seconds = name, program, seconds
        self.corpus, self.found = os.path.join(work, name, "corpus"), os.path.join(work, name, "found")
        self.inputs = os.path.join(INPUTS, name)
        for folder in (self.corpus, self.found, self.inputs):
            os.makedirs(folder, exist_ok=True)
        for old in os.listdir(self.found):
            os.unlink(os.path.join(self.found, old))
        self.environment = os.environ | {"GOSSIPFUZZ": name, "SWIFT_BACKTRACE": "enable=no"}

    def call(self, *arguments, limit, **environment):
        process = subprocess.Popen(
            [self.program, *arguments], env=self.environment | environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        running.add(process)
        try:
            output = process.communicate(timeout=limit)[0].decode(errors="replace")
            return process.returncode, output
        except subprocess.TimeoutExpired:
            process.kill()
            return None, process.communicate()[0].decode(errors="replace")
        finally:
            running.discard(process)

    def seed(self):
        seeds.write(self.name, self.corpus)
        status, output = self.call(limit=60, GOSSIPFUZZ_SEEDS=self.corpus)
        if status:
            raise RuntimeError(f"{self.name}: {output}")

    def run(self):
        """The line for the target, and whether it held."""
        self.seed()
        limits = [f"-timeout={SECONDS_PER_INPUT_MAX}", f"-rss_limit_mb={MEGABYTES_MAX}",
                  f"-max_len={LENGTH_MAX.get(self.name, 2_048)}", f"-artifact_prefix={self.found}/"]
        begin = time.monotonic()
        _, output = self.call(
            f"-max_total_time={self.seconds}", "-print_final_stats=1", *limits, self.corpus, self.inputs,
            limit=self.seconds + 120)
        took = time.monotonic() - begin
        findings = sorted(os.listdir(self.found))
        kept = [self.keep(os.path.join(self.found, one), limits) for one in findings]
        executed = last(r"stat::number_of_executed_units:\s*(\d+)", output) or last(r"#(\d+)\s", output)
        edges, features = last(r"cov: (\d+)", output), last(r"ft: (\d+)", output)
        text = (f"{self.name:<8} {took:5.0f} s  {executed or 0:>11} executions  {edges or 0:>6} edges  "
                f"{features or 0:>6} features  ")
        if kept:
            reason = next((line for line in output.splitlines() if "gossipfuzz:" in line or "Fatal error" in line
                           or "ERROR: libFuzzer" in line), "")
            return f"{text}FOUND {', '.join(kept)}: {reason[:200]}", False
        if not re.search(r"Done \d+ runs", output):
            return f"{text}did not end by itself: {output[-300:]!r}", False
        return f"{text}nothing found", True

    def keep(self, path, limits):
        """The smallest input that still fails, as a file of the tests."""
        small = path + ".small"
        self.call("-minimize_crash=1", f"-max_total_time={MINIMISE_SECONDS}", f"-exact_artifact_path={small}", *limits,
                  path, limit=MINIMISE_SECONDS + 60)
        best = small if os.path.exists(small) else path
        with open(best, "rb") as file:
            data = file.read()
        kind = os.path.basename(path).split("-")[0]
        name = os.path.join(self.inputs, f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}")
        with open(name, "wb") as file:
            file.write(data)
        return os.path.relpath(name, os.path.join(INPUTS, "..", "..", ".."))


def last(pattern, text):
    found = re.findall(pattern, text)
    return found[-1] if found else None


def ended(number, _):
    for process in list(running):
        process.kill()
    os._exit(128 + number)


def main():
    parser = argparse.ArgumentParser(prog="fuzz", description="Feed every target of Tests/FuzzTargets for a while.")
    parser.add_argument("program", help="gossipfuzz, built with the fuzzer's instrumentation")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (default 600)")
    parser.add_argument("--at-once", type=int, default=2, help="targets that run at one time (default 2)")
    parser.add_argument("--only", default="", help="names of targets, with commas")
    parser.add_argument("--work", required=True, help="a folder that keeps what was learnt for the next run")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else list(TARGETS)
    unknown = set(names) - set(TARGETS)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ended)
    rounds = -(-len(names) // chosen.at_once)
    seconds = max(5, chosen.seconds // rounds)
    print(f"{len(names)} targets, {chosen.at_once} at once, {seconds} s each", flush=True)
    held = []
    with concurrent.futures.ThreadPoolExecutor(chosen.at_once) as pool:
        targets = [Target(name, chosen.program, chosen.work, seconds) for name in names]
        for future in concurrent.futures.as_completed([pool.submit(target.run) for target in targets]):
            line, good = future.result()
            print(line, flush=True)
            held.append(good)
    print(f"{sum(held)} of {len(held)} targets without a finding")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
