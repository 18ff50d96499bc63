# SPDX-License-Identifier: Apache-2.0
"""Owns what the fuzzer begins with, as far as texts tell: the examples of Docs/protocol.md as packets, requests of every kind,
the example configuration. Tests/FuzzTargets/FuzzSeeds.swift makes the rest."""

import os
import re
import struct

HEADER = bytes.fromhex("67731000a1a2a3a4a5a6a7a80102030405060708090a0b0c0d0e0f10")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

REQUESTS = [
    "GET /v1/status", "GET /v1/members?state=alive&tag=role=web", "GET /v1/members/web-1/explain", "GET /metrics",
    "GET /v1/kv/app/port", "GET /v1/kv?prefix=app/&recurse=true", "DELETE /v1/kv/app/port?if_version=3",
    "GET /v1/kv/app/port/history?limit=5", "GET /v1/kv/app%2Fport?at=2026-01-01T00:00:00Z", "GET /v1/kv/a?revision=7",
    "GET /v1/sets/hosts", "GET /v1/counters/hits", "GET /v1/doctor", "GET /v1/verify", "GET /v1/export?prefix=app",
    "GET /v1/queue?limit=2", "GET /v1/render", "GET /v1/render/fleet", "GET /v1/events", "GET /v1/diff?from=1&to=2",
    "GET /v1/strict", "DELETE /v1/strict/members/web-1", "DELETE /v1/leases/4", "POST /v1/leases/4/renew",
    "GET /v1/locks?after=a&limit=2", "GET /v1/locks/deploy?lease=4", "DELETE /v1/locks/deploy?lease=4",
]
BODIES = [
    ("PUT /v1/kv/app/port?ttl=5s&message=why", "80"), ("POST /v1/counters/hits", '{"increment":5}'),
    ("POST /v1/sets/hosts", '{"add":["web-1"],"remove":["web-2"]}'), ("POST /v1/join", '{"addresses":["10.0.0.1:7946"]}'),
    ("PUT /v1/tags", '{"role":"web"}'), ("POST /v1/leave", ""), ("POST /v1/forget", '{"member":"web-3"}'),
    ("POST /v1/import", '{"key":"a","type":"register","value":"1"}\n'), ("POST /v1/render/apply", '{"names":["nginx"]}'),
    ("POST /v1/restore", "not a backup"), ("POST /v1/strict/leader", '{"to":"web-1"}'),
    ("POST /v1/strict/recover", '{"loses_writes":true,"even_if_behind":true}'), ("POST /v1/leases", '{"ttl":"15s"}'),
    ("POST /v1/locks/deploy", '{"lease":"4","wait":true}'),
    ("POST /v1/txn", '{"compare":[{"key":"a","version":"0"}],"then":[{"put":"a","value":"x"}],"else":[{"get":"a"}]}'),
    ("POST /v1/calls", '{"id":1,"put":"a","value":"x"}\n{"id":2,"get":"a"}\n{"id":3,"delete":"a","if_version":"1"}\n7\n'),
]


def read(*path):
    with open(os.path.join(ROOT, *path)) as file:
        return file.read()


def configurations():
    """The example as it is, with all its keys set, and each of its tables alone."""
    text = read("Config", "gossipd.toml")
    # A line of a comment begins with "# ", a key that is not set with "#".
    keys = re.sub(r"(?m)^#(?=\S)", "", text)
    return [text, keys] + re.split(r"(?m)^(?=\[)", re.sub(r"(?m)^# .*\n", "", keys))


def examples():
    """The messages of the code blocks that begin with a kind of one byte; a block may hold several."""
    for block in re.findall(r"```\n(.*?)```", read("Docs", "protocol.md"), re.S):
        data = b"".join(bytes.fromhex(re.sub(r"\s", "", line)) for line in block.splitlines()
                        if re.fullmatch(r"[0-9a-f\s]+", line))
        while len(data) >= 3 and not data.startswith(HEADER[:2]):
            length = struct.unpack(">H", data[1:3])[0]
            if len(data) < 3 + length:
                break
            yield data[:3 + length]
            data = data[3 + length:]


def seeds(target):
    packets = [HEADER + message for message in examples()]
    if target == "packet":
        return packets
    if target == "stream":
        return [b"\x10" + struct.pack(">I", len(packet)) + packet for packet in packets]
    if target in ("kernel", "group", "voter"):
        steps = [struct.pack(">HB", len(packet), kind) + packet for packet in packets for kind in (0, 1)]
        return steps + [b"".join(steps[start::7]) for start in range(7)] + [b"\0\0\xfe" + step for step in steps[:8]]
    if target == "http":
        plain = [f"{line} HTTP/1.1\r\nHost: gossipd\r\n\r\n" for line in REQUESTS]
        with_body = [
            f"{line} HTTP/1.1\r\nHost: gossipd\r\nContent-Length: {len(body)}\r\n\r\n{body}" for line, body in BODIES]
        chunked = [
            f"{line} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}" for line, chunks in (
                ("PUT /v1/kv/a", "2\r\n80\r\n0\r\n\r\n"),
                ("POST /v1/calls", '14\r\n{"id":1,"put":"a","v\r\nb\r\nalue":"x"}\n\r\n0\r\n\r\n'))]
        return [text.encode() for text in plain + with_body + chunked + [plain[0] + plain[1]]]
    if target == "config":
        return [text.encode() for text in configurations()]
    return []


def write(target, folder):
    for number, seed in enumerate(seeds(target)):
        with open(os.path.join(folder, f"seed-{number:03}"), "wb") as file:
            file.write(seed)
