# SPDX-License-Identifier: Apache-2.0
"""Owns the hosts of the system tests: real systemd as process 1 in containers, on a network of their own.

Each host is a systemd-nspawn container on an overlay over one Debian root, in a network namespace that is joined to the
others by a bridge in a namespace without any way out. Nothing on this machine needs systemd, D-Bus or machined running.
Everything that was begun is ended by `close`: processes by their ids, mounts, namespaces and control groups by their names,
which carry this process's id.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

NETWORK = "198.18.7."  # RFC 2544: never routed
CONTROL_GROUPS = "/sys/fs/cgroup"


class Trouble(Exception):
    """A host or a command that did not do what it should; the message says which and what it said."""


def run(*command, check=True, timeout=60, text=None):
    """Runs a command on this machine and returns its standard output."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise Trouble(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def control_group_roots():
    """Where a control group is made for each host: the unified hierarchy, or systemd's own beside those of two controllers,
    which a host may be given."""
    if os.path.exists(f"{CONTROL_GROUPS}/cgroup.controllers"):
        return [CONTROL_GROUPS]
    return [f"{CONTROL_GROUPS}/{name}" for name in ("systemd", "unified", "memory", "pids")
            if os.path.isdir(f"{CONTROL_GROUPS}/{name}")]


class Host:
    """One container. `number` counts from 1 and ends its address."""

    def __init__(self, lab, number):
        self.lab = lab
        self.number = number
        self.name = f"host-{number}"
        self.mark = f"{lab.mark}-{number}"
        self.address = f"{NETWORK}{number}"
        self.folder = lab.folder / self.name
        self.root = self.folder / "root"
        self.process = None
        self.thread = None
        self.log = self.folder / "console.log"
        self.is_wanted = False

    # ---- Coming and going

    def prepare(self):
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        run("mount", "-t", "overlay", self.mark, "-o",
            f"lowerdir={self.lab.root},upperdir={self.folder}/upper,workdir={self.folder}/work", str(self.root))
        hosts = "".join(f"{NETWORK}{other}\thost-{other}\n" for other in range(1, self.lab.count + 1))
        (self.root / "etc/hosts").write_text("127.0.0.1\tlocalhost\n" + hosts)
        (self.root / "etc/hostname").write_text(self.name + "\n")
        # The journal survives a reboot and a power cut.
        (self.root / "var/log/journal").mkdir(parents=True, exist_ok=True)

    def boot(self):
        """Starts the container; `wait_up` waits for it. A reboot inside it boots it again."""
        for root in control_group_roots():
            os.makedirs(f"{root}/{self.mark}", exist_ok=True)
        self.is_wanted = True
        self.thread = threading.Thread(target=self._supervise, daemon=True)
        started = threading.Event()
        self._started = started
        self.thread.start()
        if not started.wait(10):
            raise Trouble(f"{self.name}: systemd-nspawn did not start")

    def _supervise(self):
        command = [
            "systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.mark}",
            f"--hostname={self.name}", "--boot", "--register=no", "--keep-unit", "--console=pipe",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no",
            f"--network-namespace-path=/run/netns/{self.mark}"]

        def enter():
            os.setsid()
            for root in control_group_roots():
                with open(f"{root}/{self.mark}/cgroup.procs", "w", encoding="ascii") as file:
                    file.write(str(os.getpid()))

        while self.is_wanted:
            with open(self.log, "ab") as log:
                # pylint: disable=subprocess-popen-preexec-fn
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter)
            self._started.set()
            # systemd-nspawn(1): 133 asks to be started again, after a reboot.
            if self.process.wait() != 133:
                return

    def leader(self):
        """The id of the container's process 1 on this machine, or None."""
        if self.process is None or self.process.poll() is not None:
            return None
        try:
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii")
        except OSError:
            return None
        for child in children.split():
            try:
                status = pathlib.Path(f"/proc/{child}/status").read_text("ascii")
            except OSError:
                continue
            spaces = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
            if spaces and spaces[0][-1] == "1":
                return int(child)
        return None

    def wait_up(self, timeout=60):
        """Waits until systemd has started everything; returns its word for that."""
        state = ""

        def is_up():
            nonlocal state
            if self.leader() is None:
                return False
            state = self.run("systemctl", "is-system-running", check=False).strip()
            return state in ("running", "degraded")

        wait(is_up, f"{self.name} is up", timeout)
        return state

    def cut_power(self):
        """Ends every process in the container at once, without a word to any of them."""
        self.is_wanted = False
        leader = self.leader()
        for process in (leader, self.process.pid if self.process else None):
            if process:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self.thread:
            self.thread.join(20)

    def shut_down(self, timeout=60):
        """An orderly shutdown, as by the power key (systemd(1), SIGRTMIN+4)."""
        self.is_wanted = False
        leader = self.leader()
        if leader:
            os.kill(leader, signal.SIGRTMIN + 4)
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise Trouble(f"{self.name} did not shut down in {timeout} s")

    def discard(self):
        self.cut_power()
        run("umount", str(self.root), check=False)
        for root in control_group_roots():
            for folder, _, _ in os.walk(f"{root}/{self.mark}", topdown=False):
                for _ in range(50):
                    try:
                        os.rmdir(folder)
                        break
                    except FileNotFoundError:
                        break
                    except OSError:
                        time.sleep(0.02)

    # ---- Asking

    def command(self, *command):
        leader = self.leader()
        if leader is None:
            raise Trouble(f"{self.name} is down")
        return ["nsenter", "-t", str(leader), "-a", "--", *command]

    def run(self, *command, check=True, timeout=60, text=None):
        """Runs a command as root in the container and returns its standard output."""
        done = self.try_run(*command, timeout=timeout, text=text)
        if check and done.returncode != 0:
            raise Trouble(
                f"{self.name}: {' '.join(command)}: status {done.returncode}: {done.stderr.strip() or done.stdout[-600:]}")
        return done.stdout

    def try_run(self, *command, timeout=60, text=None):
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "SYSTEMD_PAGER": "",
            "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(
            self.command(*command), input=text, capture_output=True, text=True, timeout=timeout, check=False,
            env=environment)

    def start(self, *command):
        """A command that runs beside; the caller waits for it or ends it."""
        return subprocess.Popen(
            self.command(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def show(self, unit, name):
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def delegate(self):
        """Lets the container's systemd use the controllers for memory and tasks, if this machine has them apart."""
        for name in ("memory", "pids"):
            self.try_run("mount", "-o", "remount,bind,rw", f"{CONTROL_GROUPS}/{name}")
        self.run("systemctl", "daemon-reexec")

    def put(self, path, text, mode=0o644):
        """Writes a file in the container."""
        self.run("sh", "-c", f"mkdir -p \"$(dirname '{path}')\" && cat > '{path}' && chmod {mode:o} '{path}'", text=text)


class Lab:
    """`count` hosts over the Debian root `root`; use it with `with`."""

    def __init__(self, root, folder, count):
        self.root = pathlib.Path(root).resolve()
        self.mark = f"gsys{os.getpid()}"
        self.folder = pathlib.Path(folder).resolve() / self.mark
        self.count = count
        self.hosts = [Host(self, number) for number in range(1, count + 1)]

    def __enter__(self):
        try:
            self._network()
            for host in self.hosts:
                host.prepare()
                host.boot()
            for host in self.hosts:
                host.wait_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _network(self):
        hub = f"{self.mark}-hub"
        run("ip", "netns", "add", hub)
        run("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", hub, "link", "set", "bridge", "up")
        for host in self.hosts:
            run("ip", "netns", "add", host.mark)
            port = f"port{host.number}"
            run("ip", "-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.mark)
            run("ip", "-n", hub, "link", "set", port, "master", "bridge", "up")
            for arguments in (["link", "set", "lo", "up"], ["addr", "add", f"{host.address}/24", "dev", "eth0"],
                              ["link", "set", "eth0", "up"]):
                run("ip", "-n", host.mark, *arguments)

    def close(self):
        """Ends all hosts and removes all traces; safe to call again and after any failure."""
        for host in self.hosts:
            host.discard()
        for name in [host.mark for host in self.hosts] + [f"{self.mark}-hub"]:
            if os.path.exists(f"/run/netns/{name}"):
                run("ip", "netns", "del", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def wait(condition, what, timeout=30, every=0.05):
    """Waits until `condition` returns something true and returns that; a Trouble in it counts as not yet."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            result = condition()
            if result:
                return result
        except (Trouble, subprocess.TimeoutExpired, OSError, ValueError) as trouble:
            last = trouble
        time.sleep(every)
    raise Trouble(f"not in {timeout} s: {what}" + (f" ({last})" if last else ""))


def note(text):
    print(text, flush=True)
    sys.stdout.flush()
