# SPDX-License-Identifier: Apache-2.0
"""Owns the Debian root folder that the hosts boot: made once with debootstrap, from the archive that apt uses here."""

import os
import pathlib
import re
import shutil
import subprocess

from lab import Trouble, note, run

# What a small Debian server has, and the libraries that the package needs: the hosts have no network to fetch them.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "iproute2", "procps", "libsqlite3-0", "libsystemd0", "nginx-light")


def archive():
    """Address and suite of the Debian archive, as apt has them."""
    release = pathlib.Path("/etc/os-release").read_text("utf-8")
    suite = re.search(r"^VERSION_CODENAME=(\w+)", release, re.MULTILINE)
    if not suite:
        raise Trouble("this is no Debian: /etc/os-release names no release")
    for address in re.findall(rf"^ *\d+ (\S+) {suite[1]}/main ", run("apt-cache", "policy"), re.MULTILINE):
        if address.startswith(("http:", "https:", "file:")):
            return address, suite[1]
    raise Trouble("apt names no archive of this Debian release: see apt-cache policy")


def environment():
    """This process's environment with apt's proxy."""
    told = run("apt-config", "shell", "proxy", "Acquire::http::Proxy", check=False)
    proxy = re.search(r"proxy='([^']+)'", told)
    return os.environ | ({"http_proxy": proxy[1]} if proxy else {})


def ensure(folder, timeout=600):
    """Makes the root folder unless it is there already with these packages."""
    folder = pathlib.Path(folder).resolve()
    stamp = folder / ".packages"
    wanted = " ".join(PACKAGES)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return folder
    address, suite = archive()
    partial = folder.with_name(folder.name + ".partial")
    for old in (partial, folder):
        shutil.rmtree(old, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    note(f"making a Debian root in {folder}")
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(partial), address],
        capture_output=True, text=True, timeout=timeout, check=False, env=environment())
    if done.returncode != 0:
        raise Trouble(f"debootstrap: status {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}")
    # It is for the tests that need it, and started by them.
    (partial / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
    for wants in partial.glob("etc/systemd/system/*.wants"):
        (wants / "nginx.service").unlink(missing_ok=True)
    (partial / ".packages").write_text(wanted, "utf-8")
    partial.rename(folder)
    return folder
