# SPDX-License-Identifier: Apache-2.0
"""Owns the cases of one host: installation, unit, sandbox, journal, reload, watchdog, backoff, further clusters."""

import concurrent.futures
import json
import pathlib
import re
import time

import fleet
from fleet import CONFIGURATION, PORT, ask, ctl, require
from lab import note, wait


def install(lab, packages):
    """apt installs the package on every host, and a Debian admin finds what is to be expected."""
    def install_one(host):
        (host.root / "srv/gossipd.deb").write_bytes(packages.current.read_bytes())
        return fleet.elapsed(lambda: host.run("apt-get", "install", "-y", "/srv/gossipd.deb", timeout=240))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        took = max(pool.map(install_one, lab.hosts))
    host = lab.hosts[0]
    for unit in ("gossipd.service", "gossipd.socket", "gossipd-apply.socket"):
        require(fleet.active(host, unit), f"{unit} does not run after the installation")
        require(host.run("systemctl", "is-enabled", unit).strip() == "enabled", f"{unit} is not enabled")
    require("gossipd-read" in host.run("id", "gossipd"), "the user is not in its groups")
    require(host.run("stat", "-c", "%U:%G %a", "/var/lib/gossipd").strip() == "gossipd:gossipd 700", "/var/lib/gossipd")
    require(not host.run("dpkg", "--verify", "gossipd").strip(), "files differ from the package's")
    require(not host.run("systemctl", "--failed", "--no-legend", "--plain").strip(), "a unit has failed")
    bind = ask(host, "status")["node"]["address"]
    require(bind == f"127.0.0.1:{PORT}", f"a fresh node listens at {bind}: it must not be reachable unasked")
    commands = manuals(host)
    for path in ("bash-completion/completions/gossipctl", "zsh/vendor-completions/_gossipctl",
                 "fish/vendor_completions.d/gossipctl.fish"):
        require((host.root / "usr/share" / path).stat().st_size > 1000, f"{path} is empty")
    size = packages.current.stat().st_size / 1e6
    note(f"  package {size:.1f} MB, apt install on all five at once {took:.1f} s, {commands} commands with a man page")


def manuals(host):
    """Checks that every command of gossipctl has a man page; returns how many there are."""
    pages = {path.name.removesuffix(".gz") for path in host.root.glob("usr/share/man/man*/*")}
    require({"gossipd.8", "gossipd.toml.5", "gossipctl.1"} <= pages, f"pages are missing: {sorted(pages)}")
    count = 0

    def walk(words, command):
        nonlocal count
        for sub in command.get("subcommands", []):
            if sub["commandName"] != "help":
                name = words + [sub["commandName"]]
                require("-".join(name) + ".1" in pages, f"{' '.join(name)} has no man page")
                count += 1
                walk(name, sub)

    walk(["gossipctl"], json.loads(host.run("gossipctl", "--experimental-dump-help"))["command"])
    require(count > 30, f"only {count} commands were found")
    return count


def status_line(lab, _):
    """The five form a cluster, and systemctl status shows the live line."""
    took = fleet.form(lab)
    host, other = lab.hosts[0], lab.hosts[4]
    line = "5 alive; 0 keys"
    wait(lambda: f'Status: "{line}"' in host.run("systemctl", "status", "gossipd"), f"the status line {line}", 5)
    began = time.monotonic()
    ctl(other, "kv", "put", "app/first", "1")
    wait(lambda: host.show("gossipd", "StatusText") == "5 alive; 1 key", "the status line follows", 5)
    note(f"  formed {took:.2f} s after the last start; a key of host-5 in host-1's status line after "
         f"{time.monotonic() - began:.2f} s")


def exposure(lab, _):
    """systemd-analyze: exposure at most 1.5, units without a complaint."""
    host = lab.hosts[0]
    for unit in ("gossipd.service", "gossipd@b.service"):
        told = host.run("systemd-analyze", "security", "--no-pager", "--threshold=15", unit)
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)[1]
        note(f"  {unit}: exposure {level}")
    units = ("gossipd.service", "gossipd.socket", "gossipd@b.service", "gossipd@b.socket",
             "gossipd-retry@gossipd.service.service")
    told = host.try_run("systemd-analyze", "verify", "--recursive-errors=no", "--man=no", *units)
    require(told.returncode == 0 and not told.stderr.strip(), f"systemd-analyze verify: {told.stderr}")
    after = host.show("gossipd", "After")
    require("network-online.target" in after, f"not ordered after network-online: {after}")


PROBE = r"""#!/usr/bin/perl
# Tries what the sandbox must refuse; prints what was possible.
use strict; use Socket;
my @places = qw(/ /boot /dev /dev/shm /etc /etc/gossipd /home /media /mnt /opt /proc/sys/kernel /root /run /run/systemd
  /run/credentials/gossipd.service /srv /sys/kernel /sys/fs/cgroup /usr /usr/bin /var /var/cache /var/lib /var/lib/dpkg
  /var/log /var/log/journal /var/spool);
for my $place (@places) { if (open(my $f, '>', "$place/probe")) { print "wrote $place\n"; unlink "$place/probe"; } }
for my $file (qw(/etc/shadow /etc/gossipd/gossipd.toml /usr/bin/gossipd)) {
  print "opened $file for writing\n" if open(my $f, '>>', $file); }
print "read /root\n" if opendir(my $d, '/root');
print "read /etc/shadow\n" if open(my $f, '<', '/etc/shadow');
for my $family (3, 16, 17, 40) { print "socket family $family\n" if socket(my $s, $family, 3, 0); }
print "chowned\n" if chown 0, 0, '/var/lib/gossipd/probe';
# x86_64 numbers: mount 165, unshare 272, chroot 161, setns 308, bpf 321, ptrace 101, reboot 169, swapon 167, keyctl 250.
if (`uname -m` =~ /x86_64/) { my ($a, $b, $m, $t) = ("none", "tmpfs", "/mnt", "/tmp");
  print "mount\n" if syscall(165, $a, $m, $b, 0, 0) == 0;
  print "unshare\n" if syscall(272, 0x10000000) == 0;
  print "chroot\n" if syscall(161, $t) == 0;
  print "ptrace\n" if syscall(101, 16, 1, 0, 0) == 0; }
open(my $t, '>', '/tmp/probe') or print "cannot write its own /tmp\n";
open(my $v, '>', '/var/lib/gossipd/probe') or print "cannot write /var/lib/gossipd\n";
open(my $r, '>', '/run/gossipd/probe') or print "cannot write /run/gossipd\n";
open(my $s, '<', '/proc/self/status'); while (<$s>) { print "status $_" if /^(CapEff|CapBnd|NoNewPrivs|Seccomp):/ }
print "probed\n";
"""


def sandbox(lab, _):
    """A probe that runs as the unit's own process, in its sandbox, can write nowhere but in the unit's folders."""
    host = lab.hosts[1]
    host.put("/opt/probe", PROBE, 0o755)
    host.put("/run/systemd/system/gossipd.service.d/probe.conf", "[Service]\nExecStartPre=/opt/probe\n")
    since = fleet.journal_cursor(host)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "gossipd")
    host.run("journalctl", "--sync")
    lines = [entry["MESSAGE"] for entry in fleet.journal(host, "_COMM=probe", since=since)]
    require("probed" in lines, f"the probe did not end: {lines}")
    zero = "0" * 16
    wanted = {f"status CapEff:\t{zero}", f"status CapBnd:\t{zero}", "status NoNewPrivs:\t1", "status Seccomp:\t2"}
    possible = set(lines) - wanted - {"probed"}
    # PrivateDevices= gives a /dev/shm of the unit's own, as PrivateTmp= a /tmp.
    require(possible <= {"wrote /dev/shm"}, f"the sandbox lets it: {sorted(possible)}")
    require(wanted <= set(lines), f"the process has rights: {lines}")
    require(not (host.root / "tmp/probe").exists(), "/tmp is not the unit's own")
    # The same holds for the daemon itself.
    status = host.run("cat", f"/proc/{fleet.main_pid(host)}/status")
    for line in wanted:
        require(line.removeprefix("status ") in status, f"the daemon: {line} is not so")
    host.run("rm", "-r", "/run/systemd/system/gossipd.service.d")
    host.run("rm", "-f", "/var/lib/gossipd/probe", "/run/gossipd/probe")
    host.run("systemctl", "daemon-reload")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again")
    places = PROBE.split("my @places = qw(")[1].split(")")[0].split()
    allowed = {line.removeprefix("wrote ") for line in possible}
    note(f"  {len(set(places) - allowed)} places refused, no capability, seccomp on")


GREEDY = r"""#!/usr/bin/perl
# Takes what it can get of tasks, then of memory.
use strict; $| = 1; my @children;
while (@children < 1000) { my $child = fork; last unless defined $child; if (!$child) { sleep 60; exit; } push @children, $child; }
print "tasks ", scalar @children, "\n"; kill 'KILL', @children; waitpid $_, 0 for @children;
my $all = ''; for my $step (1 .. 30) { $all .= 'x' x (10 << 20); print "memory ", $step * 10, "\n"; }
"""


def limits(lab, _):
    """Limits of memory, tasks, files and dumps are set; where the kernel is asked for them, it holds the daemon to them."""
    host = lab.hosts[3]
    total = int(re.search(r"MemTotal: +(\d+)", host.run("cat", "/proc/meminfo"))[1]) * 1024
    for name, percent in (("MemoryHigh", 40), ("MemoryMax", 50)):
        share = int(host.show("gossipd", name)) / total * 100
        require(abs(share - percent) < 1, f"{name} is {share:.1f} percent of the host's memory")
    shown = {name: host.show("gossipd", name) for name in ("TasksMax", "LimitNOFILE", "LimitCORE")}
    require(shown == {"TasksMax": "128", "LimitNOFILE": "16384", "LimitCORE": "0"}, f"the limits are {shown}")
    host.delegate()
    # The share of the host's memory made a small amount, for the probe's sake; the tasks as they are.
    host.put("/opt/greedy", GREEDY, 0o755)
    host.put("/run/systemd/system/gossipd.service.d/greedy.conf",
             "[Service]\nMemoryMax=100M\nMemoryHigh=infinity\nExecStartPre=-/opt/greedy\n")
    since = fleet.journal_cursor(host)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "gossipd")
    host.run("journalctl", "--sync")
    lines = [entry["MESSAGE"].split() for entry in fleet.journal(host, "_COMM=greedy", since=since)]
    tasks = [int(line[1]) for line in lines if line[0] == "tasks"]
    memory = [int(line[1]) for line in lines if line[0] == "memory"]
    host.run("rm", "-r", "/run/systemd/system/gossipd.service.d", "/opt/greedy")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "gossipd")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again")
    used = host.show("gossipd", "TasksCurrent")
    if not used.isdigit():
        note("  set; not tried, as this machine gives its containers no controllers")
        return
    require(tasks and 100 < tasks[0] < 128, f"with TasksMax=128 a process had {tasks} children")
    require(memory and max(memory) < 100, f"with MemoryMax=100M a process took {memory} MB")
    note(f"  {tasks[0]} children at TasksMax=128, of which the daemon uses {used}; {max(memory)} MB at MemoryMax=100M, then "
         "killed")


def reload(lab, _):
    """systemctl reload: tags and log level at once, debug lines appear; a bad file changes nothing and is explained."""
    host, other = lab.hosts[0], lab.hosts[1]
    pid, since = fleet.main_pid(host), fleet.journal_cursor(host)
    host.put(CONFIGURATION, fleet.configuration(host, '[tags]\nrole = "web"\n[log]\nlevel = "debug"\n'))
    host.run("systemctl", "reload", "gossipd")
    wait(lambda: any(m["name"] == host.name and m["tags"] == {"role": "web"} for m in ask(other, "members")["members"]),
         "the other hosts see the tag")
    wait(lambda: fleet.told(host, since, "reloaded"), "the reload is told")
    ctl(other, "kv", "put", "app/debug", "1")
    host.put(CONFIGURATION, "nonsense\n")
    host.run("systemctl", "reload", "gossipd")
    wait(lambda: fleet.told(host, since, "reload_failed"), "the bad file is told")
    explained = host.run("journalctl", "--no-pager", "-x", "GOSSIPD_EVENT=reload_failed")
    require("What to do: Run \"gossipd check-config FILE\"" in explained, f"journalctl -x explains nothing: {explained}")
    require(f"{CONFIGURATION}:1" in explained, f"the place is missing: {explained}")
    require(fleet.main_pid(host) == pid and fleet.active(host), "a bad file ended the daemon")
    wait(lambda: f"reload refused: {CONFIGURATION}:1: " in host.show("gossipd", "StatusText"), "the status line says so")
    require("(reload_refused)" in host.try_run("gossipctl", "doctor").stdout, "doctor does not say so")
    host.put(CONFIGURATION, fleet.configuration(host))
    host.run("systemctl", "reload", "gossipd")
    wait(lambda: len(fleet.told(host, since, "reloaded")) == 2, "the corrected file is loaded")
    wait(lambda: host.show("gossipd", "ActiveState") == "active", "it is active after reloads")
    wait(lambda: "reload refused" not in host.show("gossipd", "StatusText"), "the status line is as before")
    note("  three reloads, one of a bad file, one process")


def journal_fields(lab, _):
    """Entries have their fields; the catalog explains every kind of event."""
    host = lab.hosts[0]
    entries = fleet.journal(host, "GOSSIPD_EVENT=member_joined")
    require(len({entry["GOSSIPD_MEMBER"] for entry in entries}) >= 4, "not every member's joining is in the journal")
    for entry in entries:
        for field in ("MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "GOSSIPD_MEMBER", "GOSSIPD_MEMBER_ID",
                      "GOSSIPD_ADDRESS", "GOSSIPD_LOGGER", "CODE_FILE", "CODE_LINE", "CODE_FUNC", "_SYSTEMD_UNIT"):
            require(field in entry, f"{field} is missing in {entry}")
    page = (pathlib.Path(__file__).parents[2] / "Docs/operations.md").read_text("utf-8")
    table = page.split("<!-- events: begin -->")[1].split("<!-- events: end -->")[0]
    kinds = dict(re.findall(r"^\| `(\w+)` \| \w+ \| `([0-9a-f]{32})` \|", table, re.MULTILINE))
    require(len(kinds) > 40, f"only {len(kinds)} kinds of events were found in the manual")
    catalog = host.run("journalctl", "--no-pager", "--dump-catalog", *kinds.values())
    for kind, identifier in kinds.items():
        part = catalog.split(f"-- {identifier}")
        require(len(part) == 2 and "What to do:" in part[1].split("\n-- ")[0], f"the catalog does not explain {kind}")
    note(f"  {len(entries)} entries with all fields, {len(kinds)} kinds of events explained")


def repeats(lab, _):
    """A line that repeats is written a few times, then counted; nothing is lost."""
    # A host that no earlier case has changed the tags of: its lines would count in the same window.
    host, other = lab.hosts[3], lab.hosts[1]
    since = fleet.journal_cursor(other)
    for number in range(40):
        ctl(host, "tags", "set", f"turn={number}")
        time.sleep(0.05)

    def entries():
        other.run("journalctl", "--sync")
        return fleet.journal(other, "GOSSIPD_EVENT=member_updated", f"GOSSIPD_MEMBER={host.name}", since=since)

    summary = wait(lambda: [e for e in entries() if "GOSSIPD_COUNT" in e], "the count is told", 50, every=0.5)
    written = len(entries()) - len(summary)
    held = sum(int(entry["GOSSIPD_COUNT"]) for entry in summary)
    events = [json.loads(line) for line in ctl(other, "--output", "json", "events").splitlines()]
    happened = sum(e["event"] == "member_updated" and e.get("member", {}).get("name") == host.name for e in events)
    require(written == 10, f"{written} lines were written before it was counted")
    require(written + held <= happened and held > 0, f"{written} lines and {held} counted, but {happened} happened")
    require("more entries like this in 30 s" in summary[0]["MESSAGE"], summary[0]["MESSAGE"])
    ctl(host, "tags", "unset", "turn")
    note(f"  {written} lines written, {held} counted in {len(summary)} line")


def watchdog(lab, _):
    """A daemon that stands still is killed and started again by systemd's watchdog."""
    host, other = lab.hosts[2], lab.hosts[0]
    identity, pid, since = fleet.node_id(host), fleet.main_pid(host), fleet.journal_cursor(host)
    before = int(host.show("gossipd", "NRestarts"))
    began = time.monotonic()
    host.run("kill", "-STOP", str(pid))
    wait(lambda: fleet.main_pid(host) not in (0, pid) and fleet.active(host), "the watchdog restarts it", 60)
    took = time.monotonic() - began
    host.run("journalctl", "--sync")
    lines = [entry["MESSAGE"] for entry in fleet.journal(host, "_PID=1", since=since)]
    require(any("Watchdog timeout" in str(line) for line in lines), f"systemd did not say so: {lines}")
    require(int(host.show("gossipd", "NRestarts")) == before + 1, "it was not one restart")
    require(fleet.node_id(host) == identity, "it is another node now")
    wait(lambda: fleet.sees(other, host_3="alive"), "it is a member again")
    note(f"  stopped process, WatchdogSec=15: running again after {took:.1f} s")


def crash(lab, _):
    """kill -9 under load: systemd starts it again, as the same node with its keys; gossipctl waits for it."""
    host, other = lab.hosts[2], lab.hosts[0]
    identity = fleet.node_id(host)
    # A program that tries nothing twice may fail here: whoever was being answered hears nothing.
    load = fleet.Load(host, "crash", raw=False)
    times = []
    for _ in range(4):
        pid = fleet.main_pid(host)
        began = time.monotonic()
        host.run("systemctl", "kill", "--signal=KILL", "gossipd")
        wait(lambda pid=pid: fleet.main_pid(host) not in (0, pid) and fleet.active(host), "it is started again", 20)
        times.append(time.monotonic() - began)
        time.sleep(0.5)
    written = load.finish()
    require(fleet.node_id(host) == identity, "it is another node now")
    require(ctl(host, "kv", "get", "app/first") == "1", "its keys are gone")
    wait(lambda: fleet.sees(other, host_3="alive"), "it is a member again")
    require(fleet.active(host, "gossipd.socket"), "the socket is gone")
    note(f"  ready again {max(times):.2f} s after the kill at most, {len(times)} times; {written}")


def backoff(lab, _):
    """A daemon that cannot start is tried some times at once, then each minute, and comes back without an operator."""
    host = lab.hosts[3]
    # The waiting made shorter; the rest of the unit stays as it is.
    unit = host.run("cat", "/lib/systemd/system/gossipd-retry@.service").replace("/bin/sleep 60", "/bin/sleep 4")
    host.put("/run/systemd/system/gossipd-retry@.service", unit)
    host.run("systemctl", "daemon-reload")
    host.put(CONFIGURATION, fleet.configuration(host).replace(f"{host.address}:", "198.18.7.99:"))
    since = fleet.journal_cursor(host)
    # Earlier starts by hand count as well.
    host.run("systemctl", "reset-failed", "gossipd")
    host.try_run("systemctl", "restart", "gossipd")
    wait(lambda: host.show("gossipd", "ActiveState") == "failed", "systemd gives up", 60)
    failures = len(fleet.told(host, since, "start_failed"))
    limit = int(host.show("gossipd", "StartLimitBurst"))
    require(failures == limit, f"{failures} tries instead of {limit}")
    explained = host.run("journalctl", "--no-pager", "-x", "GOSSIPD_EVENT=start_failed")
    require("░░ Subject: gossipd could not start" in explained, "journalctl -x does not explain the failure")
    host.run("ip", "address", "add", "198.18.7.99/24", "dev", "eth0")
    wait(lambda: fleet.active(host), "it comes back by itself", 30)
    host.run("ip", "address", "del", "198.18.7.99/24", "dev", "eth0")
    # What only a person can correct is not tried again.
    host.put(CONFIGURATION, "nonsense\n")
    since = fleet.journal_cursor(host)
    host.try_run("systemctl", "restart", "gossipd")
    time.sleep(6)
    require(host.show("gossipd", "ActiveState") == "failed", "it does not stay failed")
    tries = len(fleet.told(host, since, "configuration_invalid"))
    require(tries == 1, f"a bad configuration was tried {tries} times")
    host.put(CONFIGURATION, fleet.configuration(host))
    host.run("rm", "/run/systemd/system/gossipd-retry@.service")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "reset-failed", "gossipd")
    host.run("systemctl", "restart", "gossipd")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again")
    note(f"  {failures} tries, then a pause, then back by itself; a bad configuration is tried once")


def instances(lab, _):
    """gossipd@NAME: a second cluster on the same hosts, with folders and a socket of its own."""
    pair = lab.hosts[:2]
    for host in pair:
        host.put("/etc/gossipd/second.toml", f'name = "{host.name}"\ncluster = "second"\nbind = "{host.address}:7950"\n'
                 'join = ["host-1:7950"]\ninsecure = true\n[membership]\nrefused_suspicion_min = "3s"\n')
        host.run("systemctl", "enable", "--now", "gossipd@second")
    socket = "/run/gossipd-second/gossipd.sock"
    for host in pair:
        wait(lambda host=host: len(ask(host, "--socket", socket, "members")["members"]) == 2, "the second cluster forms")
        require(len(ask(host, "members")["members"]) == 5, "the first cluster has changed")
        require(host.run("stat", "-c", "%U %a", "/var/lib/gossipd-second").strip() == "gossipd 700", "its data folder")
        require(fleet.active(host, "gossipd@second.socket"), "its socket does not listen")
    ctl(pair[0], "--socket", socket, "kv", "put", "second/key", "1")
    require("second/key" not in ctl(pair[0], "kv", "list"), "the clusters share keys")
    note("  two clusters on two hosts")


def credentials(lab, _):
    """Files of root in keys.d reach the daemon, and only it; their absence is no error."""
    host = lab.hosts[1]
    host.run("mkdir", "-p", "-m", "700", "/etc/gossipd/keys.d")
    # A key as `key_file` takes it; the host goes on speaking plainly with the others, as its configuration says.
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    host.put("/etc/gossipd/keys.d/one", key, 0o600)
    host.run("systemctl", "restart", "gossipd")
    folder = "/run/credentials/gossipd.service"
    require(host.run("cat", f"{folder}/keys_one") == key, "the key does not arrive")
    require(host.run("stat", "-c", "%U %a", f"{folder}/keys_one").strip() == "gossipd 400", "others may read it")
    # What check-config says of the folder and what the daemon does are the same.
    host.put("/etc/gossipd/keys.d/one~", "nonsense\n", 0o600)
    checked = host.try_run("sh", "-c", "cd /etc/gossipd && exec gossipd check-config gossipd.toml")
    require(checked.returncode == 0 and "keys.d/one~: looks like a copy" in checked.stderr, f"a copy: {checked.stderr}")
    host.run("systemctl", "restart", "gossipd")
    host.put("/etc/gossipd/keys.d/zz", "nonsense\n", 0o600)
    checked = host.try_run("gossipd", "check-config", CONFIGURATION)
    require(checked.returncode == 78 and "keys.d/zz: line 1: not a key" in checked.stderr, f"a bad key: {checked.stderr}")
    since = fleet.journal_cursor(host)
    require(host.try_run("systemctl", "restart", "gossipd").returncode != 0, "it has started with a bad key")
    said = fleet.told(host, since, "start_failed")
    require(said and "keys_zz: line 1: not a key" in host.run("journalctl", "-u", "gossipd", "-n", "20", "-o", "cat"), f"{said}")
    host.run("rm", "-r", "/etc/gossipd/keys.d")
    # A key file of root's, which the service cannot open; then as the manual says.
    host.put("/etc/gossipd/keys", key + "\n", 0o600)
    host.put(CONFIGURATION, 'key_file = "/etc/gossipd/keys"\n' + fleet.configuration(host))
    host.run("systemctl", "reset-failed", "gossipd")
    for owner, good in (("root", False), ("gossipd", True)):
        host.run("chown", owner, "/etc/gossipd/keys")
        checked = host.try_run("gossipd", "check-config", CONFIGURATION)
        require(checked.returncode == (0 if good else 78), f"check-config, keys of {owner}: {checked.stderr}")
        started = host.try_run("systemctl", "restart", "gossipd")
        require((started.returncode == 0) == good, f"the daemon, keys of {owner}")
        if not good:
            told = host.run("journalctl", "-u", "gossipd", "-n", "20", "-o", "cat")
            for text in (checked.stderr, told):
                require("run chown gossipd /etc/gossipd/keys" in text, f"no advice: {text}")
    host.put(CONFIGURATION, fleet.configuration(host))
    host.run("rm", "/etc/gossipd/keys")
    host.run("systemctl", "restart", "gossipd")
    require(fleet.active(host), "it does not start without keys")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again")
    note("  with and without /etc/gossipd/keys.d")
