# SPDX-License-Identifier: Apache-2.0
"""Owns the packages under test: the one of this tree, the same with a later version, and one that speaks a later minor
version of the protocol."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

from lab import Trouble, note, run

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = TREE / ".build"

# The protocol's next minor version, as Docs/protocol.md allows it: another number in the header and in the member's
# description, and a message of a kind that this version does not know (kind 200, length 2) at the end of each datagram.
NEXT_PROTOCOL = (
    ("Sources/ClusterTypes/ProtocolVersion.swift",
     "package static let minor: UInt8 = 0", "package static let minor: UInt8 = 1"),
    ("Sources/WireProtocol/PacketCodec.swift",
     "        writer.put(packet.messages)\n        if let failure = writer.failure { throw failure }\n",
     "        writer.put(packet.messages)\n        if let failure = writer.failure { throw failure }\n"
     "        if buffer.count - writer.count >= 5 {\n"
     "            writer.put(UInt8(200))\n            writer.put(UInt16(2))\n            writer.put(UInt16(0xabcd))\n"
     "        }\n"),
)


def build():
    """The package of this tree."""
    path = subprocess.run(
        [str(TREE / "Packaging/build-deb")], check=False, capture_output=True, text=True, timeout=3_000)
    if path.returncode != 0:
        raise Trouble(f"the package was not built: {path.stderr[-3000:]}")
    return pathlib.Path(path.stdout.strip().splitlines()[-1])


def version(package):
    return run("dpkg-deb", "--field", str(package), "Version").strip()


def repack(package, suffix, daemon=None):
    """The same package with a later version, and with another daemon if one is given."""
    later = version(package) + suffix
    folder = BUILD / "deb/repack"
    shutil.rmtree(folder, ignore_errors=True)
    run("dpkg-deb", "--raw-extract", str(package), str(folder))
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", f"Version: {later}", control.read_text("utf-8")), "utf-8")
    if daemon:
        run("strip", "-o", str(folder / "usr/bin/gossipd"), str(daemon))
        sums = folder / "DEBIAN/md5sums"
        digest = hashlib.md5((folder / "usr/bin/gossipd").read_bytes()).hexdigest()
        sums.write_text(re.sub(r"(?m)^\w+(  usr/bin/gossipd)$", rf"{digest}\1", sums.read_text("utf-8")), "utf-8")
    result = BUILD / f"deb/gossipd_{later}.deb"
    run("dpkg-deb", "-Zgzip", "-z1", "--build", "--root-owner-group", str(folder), str(result), timeout=300)
    shutil.rmtree(folder)
    return result


def next_daemon():
    """A daemon that speaks the next minor version of the protocol, built from a changed copy of this tree."""
    source, scratch = BUILD / "next/source", BUILD / "next/build"
    names = run("git", "-C", str(TREE), "ls-files", "-co", "--exclude-standard", "Package.swift", "Sources", "Tests/Benchmarks",
                "Tests/AdminServerFixture", "Tests/FuzzTargets")
    names = names.splitlines() + [name for name in ("Package.resolved",) if (TREE / name).exists()]
    changed = {}
    for name, old, new in NEXT_PROTOCOL:
        text = changed.get(name) or (TREE / name).read_text("utf-8")
        if text.count(old) != 1:
            raise Trouble(f"{name} is no longer as Tests/SystemTests/packages.py expects it: {old.strip()[:60]}")
        changed[name] = text.replace(old, new)
    kept = set()
    for name in names:
        if not (TREE / name).is_file():
            continue
        # Written only when different: the build looks at the files' times.
        new = changed[name].encode() if name in changed else (TREE / name).read_bytes()
        if name == "Package.swift":
            # The tests are not built here.
            new = re.sub(rb"(?m)^        tests\((?:.|\n)*?^    \],\n    swiftLanguageModes", b"    ],\n    swiftLanguageModes", new)
        path = source / name
        kept.add(path)
        if not path.exists() or path.read_bytes() != new:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(new)
    for path in [path for path in source.rglob("*") if path.is_file() and path not in kept]:
        if ".build" not in path.parts:
            path.unlink()
    scratch.mkdir(parents=True, exist_ok=True)
    for name in ("checkouts", "repositories", "workspace-state.json", "artifacts"):
        if (BUILD / name).exists() and not (scratch / name).exists():
            run("cp", "-a", str(BUILD / name), str(scratch / name), timeout=300)
    note("building a daemon of the next protocol version")
    done = subprocess.run(
        ["swift", "build", "--package-path", str(source), "--scratch-path", str(scratch), "-c", "release",
         "--static-swift-stdlib", "--disable-sandbox", "--product", "gossipd"],
        capture_output=True, text=True, timeout=3_000, check=False, env=os.environ)
    if done.returncode != 0:
        raise Trouble(f"the next version was not built: {done.stdout[-3000:]}{done.stderr[-1000:]}")
    return scratch / "release/gossipd"
