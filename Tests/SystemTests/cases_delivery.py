# SPDX-License-Identifier: Apache-2.0
"""Owns the cases of delivery: keys and members become nginx's configuration on three hosts, whatever goes wrong."""

import concurrent.futures
import json
import os
import re
import signal
import time

import fleet
import website
from fleet import CONFIGURATION, ask, ctl, require
from lab import note, wait
from website import EXTRA, MAIN, Site, Watch, content, fetch, reaches, reloads, status, upstreams


def upstreams_follow(lab, _):
    """nginx's upstreams follow the members: a tag that goes and comes, a host that loses its power and comes back."""
    with Site(lab) as site:
        first, second, third = site.hosts
        everybody, two = {"host-1", "host-2", "host-3"}, {"host-1", "host-2"}
        for host in site.hosts:
            require(website.balanced(host) == everybody, f"{host.name} does not use all upstreams")
        # Not the hosts without the tag.
        require(b"host-4" not in content(first), "a member without the tag is an upstream")
        watch = Watch(site.hosts[:2], website.BALANCED_PORT)
        # A tag is taken off and put back.
        times = {}
        for what, command, names in (("tag off", ["unset", "role"], two), ("tag on", ["set", "role=web"], everybody)):
            ctl(third, "tags", *command)
            times[what] = fleet.elapsed(lambda names=names: wait(
                lambda: all(upstreams(host) == names for host in site.hosts), f"the files follow a {what}"))
            for host in site.hosts:
                wait(lambda host=host, names=names: website.balanced(host) == names, f"nginx of {host.name} follows")
        third.cut_power()
        times["power cut"] = fleet.elapsed(lambda: wait(
            lambda: all(upstreams(host) == two for host in (first, second)), "the files follow a power cut", 60))
        for host in (first, second):
            wait(lambda host=host: website.balanced(host) == two, f"nginx of {host.name} follows")
        third.boot()
        third.wait_up()
        times["back"] = fleet.elapsed(lambda: site.settle(timeout=60))
        for host in site.hosts:
            wait(lambda host=host: website.balanced(host) == everybody, f"nginx of {host.name} follows")
        watch.stop()
        require(not watch.failures, f"requests failed: {len(watch.failures)}: {watch.failures[:3]}")
        note("  on disk on every host after: " + ", ".join(f"{what} {took:.2f} s" for what, took in times.items())
             + f"; {watch.answers} requests through the load balancers meanwhile, none failed")


def refusals(lab, _):
    """Broken templates, failing checks, empty and missing keys: nothing on disk changes, nginx runs, the error says why."""
    with Site(lab) as site:
        first = site.hosts[0]
        before = {(host.name, path): content(host, path) for host in site.hosts for path in (MAIN, EXTRA)}
        counts = {host.name: reloads(host) for host in site.hosts}
        watch = Watch(site.hosts)
        said = {}
        # A broken template, on one host.
        first.put("/etc/gossipd/templates/site.mustache", website.TEMPLATE.replace("{{/web}}", "", 1))
        ctl(first, "kv", "put", "web/round", "1")
        first.run("systemctl", "reload", "gossipd")
        said["broken template"] = reaches(first, "site", "failed")
        for host in site.hosts[1:]:
            wait(lambda host=host: b"round=1\n" in content(host), f"{host.name} goes on")
        ctl(first, "kv", "delete", "web/round")
        first.put("/etc/gossipd/templates/site.mustache", website.TEMPLATE)
        first.run("systemctl", "reload", "gossipd")
        site.settle()
        # Keys that nginx refuses, an empty one and one that is gone, on all hosts.
        for what, change, undo, file, state, part in (
                ("failing check", ["put", "web/port", "http"], ["delete", "web/port"], "site", "refused", "nginx"),
                ("empty key in a template", ["put", "web/port", ""], ["delete", "web/port"], "site", "refused", "nginx"),
                ("failing check of a script", ["put", "web/extra", "server { listen 9001; nonsense on; } # so long"],
                 ["put", "web/extra", website.extra("first")], "extra", "refused", "nonsense"),
                ("empty key", ["put", "web/extra", ""], ["put", "web/extra", website.extra("first")], "extra", "refused",
                 "empty"),
                ("missing key", ["delete", "web/extra"], ["put", "web/extra", website.extra("first")], "extra", "failed",
                 "web/extra")):
            ctl(first, "kv", *change)
            for host in site.hosts:
                said[what] = reaches(host, file, state, part)
            for host in site.hosts:
                for path in (MAIN, EXTRA):
                    require(content(host, path) == before[host.name, path], f"{what}: {path} of {host.name} changed")
                require(host.run("nginx", "-t", "-q") == "", f"{what}: nginx would not start on {host.name}")
            ctl(first, "kv", *undo)
            site.settle()
        watch.stop()
        require(not watch.failures, f"nginx did not answer: {watch.failures[:3]}")
        seen = {path: watch.seen(path) for path in (MAIN, EXTRA)}
        # Besides what was there only the round that the other hosts went on with.
        good = set(before.values()) | {rewritten(before["host-2", MAIN], 1)}
        bad = [text for texts in seen.values() for text in texts if text not in good]
        require(not bad, f"{len(bad)} contents that nobody wanted: {bad[:1]}")
        for what, sentence in said.items():
            note(f"  {what}: {sentence[:230]}")
        loads = [reloads(host) - counts[host.name] for host in site.hosts]
        note(f"  {watch.reads} reads of the files: only the wanted contents; {watch.answers} requests; reloads {loads}, "
             "none of them for what was refused")
        for host in site.hosts:
            host.run("systemctl", "restart", "nginx")


def kills(lab, _):
    """kill -9 of the daemon and of the helper in the middle of a batch: never a partial file, and the last value arrives."""
    with Site(lab) as site:
        host = site.hosts[0]
        base = content(host)
        extras = {content(host, EXTRA)}
        # So long that a write of it takes a while.
        filler = ("#" + "x" * 78 + "\n") * 500
        watch = Watch([host])
        wanted, stages, rounds = set(extras), {"daemon": [], "helper": []}, 0
        for number in range(1, 13):
            victim = "daemon" if number % 2 else "helper"
            unit = "gossipd.service" if victim == "daemon" else "gossipd-apply.service"
            host.run("systemctl", "reset-failed", "gossipd", "gossipd-apply.service", "gossipd-apply.socket")
            host.run("systemctl", "start", "gossipd-apply.service")
            wait(lambda: fleet.active(host) and fleet.active(host, "gossipd-apply.service"), "both run")
            process = wait(lambda unit=unit: website.machine_process(host, unit), f"the process of {unit}")
            value = website.extra(f"round-{number}") + filler
            wanted.add(value.encode())
            host.put("/run/value", value)
            old = content(host, EXTRA)

            def write(number=number):
                ctl(host, "kv", "put", "web/extra", "@/run/value")
                ctl(host, "kv", "put", "web/round", str(number))

            stages[victim].append(strike(host, process, old, number, write))
            rounds = number
            wait(lambda value=value: content(host, EXTRA) == value.encode(), f"round {number} arrives", 60)
            wait(lambda number=number: fetch(host, website.OWN_PORT)[1].split()[1] == str(number)
                 and fetch(host, 9001)[1] == f"round-{number}", f"nginx has round {number}", 60)
        wait(lambda: status(host, "site")["state"] == "ok" and status(host, "extra")["state"] == "ok", "both are ok")
        wait(lambda: not website.leftovers(host), f"nothing is left beside the files: {website.leftovers(host)}", 10)
        watch.stop()
        good = {MAIN: {rewritten(base, number) for number in range(rounds + 1)}, EXTRA: wanted}
        for path, texts in good.items():
            bad = watch.seen(path) - texts
            require(not bad, f"{path}: {len(bad)} contents that nobody wanted: {[text[:80] for text in bad]}")
        require(not watch.failures, f"nginx did not answer {len(watch.failures)} times: {watch.failures[:3]}")
        require(fleet.active(host, "nginx"), "nginx does not run")
        note(f"  killed at: daemon {stages['daemon']}, helper {stages['helper']}; {watch.reads} reads: "
             f"{len(watch.seen(MAIN))} and {len(watch.seen(EXTRA))} contents, each a whole one; {watch.answers} requests, "
             "none failed")
        for other in site.hosts[1:]:
            wait(lambda other=other: content(other, EXTRA) == value.encode(), f"{other.name} has the last value", 60)


def rewritten(text, number):
    return text.replace(b"round=0\n", b"round=%d\n" % number).replace(b"name 0\\n", b"name %d\\n" % number)


def strike(host, process, old, number, write):
    """Writes, and kills a process when the batch is at one of its stages; returns which one that was."""
    stage = ("beside", "renamed", "waiting")[number // 2 % 3]
    folder = host.root / "etc/nginx/conf.d"

    def has_come():
        if stage == "beside":
            return any("gossipd" in name for name in os.listdir(folder))
        return stage == "waiting" or content(host, EXTRA) != old

    # Watched from before the write on: a batch may be over when the commands that cause it have ended.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        if stage == "waiting":
            writing.result()
            time.sleep(0.1)
        end = time.monotonic() + 20
        while not has_come():
            require(time.monotonic() < end, f"no batch was seen: {stage}")
            time.sleep(0.0005)
        os.kill(process, signal.SIGKILL)
        writing.result()
    return stage


def one_reload(lab, _):
    """50 keys changed in one import are exactly one reload of nginx on each host, and whole when they show."""
    with Site(lab) as site:
        # What the forming has caused is over.
        time.sleep(1)
        for host in site.hosts:
            # A new one counts repeated lines from the beginning: those of former cases would keep this one's back.
            host.run("systemctl", "stop", "gossipd-apply.service")
        before = {host.name: reloads(host) for host in site.hosts}
        since = {host.name: fleet.journal_cursor(host) for host in site.hosts}
        lines = [{"key": f"web/paths/p{number}", "type": "register", "value": f"v{number}"} for number in range(49)]
        lines.append({"key": "web/extra", "type": "register", "value": website.extra("imported")})
        watch = Watch(site.hosts)
        site.hosts[1].put("/run/import", "".join(json.dumps(line) + "\n" for line in lines))
        ctl(site.hosts[1], "kv", "import", "/run/import")
        began = time.monotonic()
        for host in site.hosts:
            wait(lambda host=host: content(host).count(b"location = /p") == 49 and b"imported" in content(host, EXTRA),
                 f"{host.name} has all 50 keys")
            wait(lambda host=host: fetch(host, website.BALANCED_PORT, "/p48") == (200, "v48")
                 and fetch(host, 9001)[1] == "imported", f"nginx of {host.name} has them")
        took = time.monotonic() - began
        # Longer than wait_max: what else there might be would have come.
        time.sleep(6)
        watch.stop()
        for host in site.hosts:
            count = reloads(host) - before[host.name]
            require(count == 1, f"{host.name} has reloaded nginx {count} times")
            host.run("journalctl", "--sync")
            told = [entry for entry in fleet.journal(host, "_SYSTEMD_UNIT=gossipd-apply.service", since=since[host.name])
                    if entry.get("GOSSIPD_EVENT") == "helper_reloaded" and entry["GOSSIPD_TARGET"] == "unit nginx.service"]
            require(len(told) == 1, f"{host.name}: the journal tells of {len(told)} reloads")
            partial = [text for text in watch.contents[host.name, MAIN] if text.count(b"location = /p") not in (0, 49)]
            require(not partial, f"{host.name} had a part of the import")
        require(not watch.failures, f"nginx did not answer: {watch.failures[:3]}")
        note(f"  50 keys in two files, in use on three hosts {took:.2f} s after the import; one reload on each; "
             f"{watch.answers} requests, none failed")


def looks(lab, _):
    """render plan changes nothing, apply --once does it now, status --fleet shows versions and last errors of every host."""
    with Site(lab) as site:
        first, outsider = site.hosts[0], lab.hosts[3]
        first.put("/etc/gossipd/render.d/slow.toml",
                  'destination = "/etc/slow.conf"\nkey = "web/slow"\nwait_min = "60s"\nwait_max = "120s"\n')
        ctl(first, "kv", "put", "web/slow", "one\n")
        first.run("systemctl", "reload", "gossipd")
        ctl(first, "render", "apply", "--once", "slow")
        require(content(first, "/etc/slow.conf") == b"one\n", "apply --once has not written")
        ctl(first, "kv", "put", "web/slow", "two\n")

        def traces():
            command = "find /etc/nginx /etc/slow.conf /etc/gossipd -printf '%p %i %s %T@ %C@\\n' | sort"
            return first.run("sh", "-c", command), reloads(first)

        old = traces()
        plan = ctl(first, "render", "plan")
        require("-one\n+two\n" in plan and "1 of 3 files would change" in plan, f"the plan: {plan}")
        require(traces() == old, "the plan has changed something")
        ctl(first, "render", "apply", "--once", "slow")
        require(content(first, "/etc/slow.conf") == b"two\n", "apply --once has not written")
        # The whole fleet, seen from a host that delivers nothing.
        ctl(first, "kv", "put", "web/port", "http")
        for host in site.hosts:
            reaches(host, "site", "refused", "nginx")

        def told():
            hosts = {host["member"]["name"]: {file["name"]: file for file in host["files"]}
                     for host in ask(outsider, "render", "status", "--fleet")["hosts"]}
            return hosts if all("http" in (hosts[host.name]["site"].get("error") or "") for host in site.hosts) else None

        took = fleet.elapsed(lambda: wait(told, "the fleet tells of the errors", 20))
        hosts = told()
        for host in site.hosts:
            require(hosts[host.name]["site"]["version"] == status(host, "site")["version"], f"the version of {host.name}")
        require(len({hosts[host.name]["extra"]["version"] for host in site.hosts}) == 1, "equal files, other versions")
        for line in ctl(outsider, "render", "status", "--fleet").splitlines()[:5]:
            note(f"  {line[:150]}")
        ctl(first, "kv", "delete", "web/port")
        site.settle()
        first.run("rm", "-f", "/etc/gossipd/render.d/slow.toml", "/etc/slow.conf")
        note(f"  the plan left every file's inode and times alone; errors of three hosts on host-4 after {took:.2f} s")


PROBE = r"""#!/usr/bin/perl
# As a check in the helper's sandbox: tells what it must not be able to do.
use strict; use Socket;
open(my $out, '>', '/run/probed') or exit 1;
for my $place (qw(/ /boot /dev /etc/gossipd /etc/gossipd/render.d /home /media /mnt /opt /root /srv /sys/kernel
  /proc/sys/kernel /sys/fs/cgroup /usr /usr/bin /usr/lib/gossipd /var/lib/gossipd)) {
  if (open(my $f, '>', "$place/probe")) { print $out "wrote $place\n"; unlink "$place/probe"; } }
# What hides it is an empty folder, which root may open.
print $out "saw the daemon's data\n" if -e '/var/lib/gossipd/store.db' or glob('/var/lib/gossipd/*');
print $out "socket family $_\n" for grep { socket(my $s, $_, 3, 0) } (17, 40);
print $out "raw socket\n" if socket(my $r, 2, 3, 1);
print $out "became another user\n" if do { local $>; $> = 33; $> == 33 };
chmod 04755, $ARGV[0]; print $out "set-user-id\n" if -u $ARGV[0];
if (`uname -m` =~ /x86_64/) { my ($a, $b, $m, $t) = ("none", "tmpfs", "/mnt", "/tmp");
  print $out "mount\n" if syscall(165, $a, $m, $b, 0, 0) == 0;
  print $out "unshare\n" if syscall(272, 0x10000000) == 0;
  print $out "chroot\n" if syscall(161, $t) == 0; }
for my $place (qw(/etc /run /var/log/nginx /var/lib/nginx /tmp)) {
  open(my $f, '>', "$place/probe") or print $out "cannot write $place\n"; unlink "$place/probe"; }
close $out; exit 0;
"""

# Sends a request to the helper as whoever runs it, and prints the answer. Who may not ask is answered before it has asked.
ASK = r"""use strict; use Socket; $SIG{PIPE} = 'IGNORE'; my $text = join '', <STDIN>;
socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
connect($s, sockaddr_un('/run/gossipd-apply.sock')) or do { print "connect: $!"; exit 1 };
syswrite $s, pack('N', length $text) . $text; my $a = ''; 1 while sysread $s, $a, 65536, length $a; print substr($a, 4);"""


def knock(host, user, request):
    """What the helper answers `user`."""
    return host.try_run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "perl", "-e", ASK,
                        text=json.dumps(request)).stdout


def helper_sandbox(lab, _):
    """The helper under systemd: enough for nginx, nothing else; no destination outside; nobody else may ask."""
    with Site(lab, 1) as site:
        host = site.hosts[0]
        unit = "gossipd-apply.service"
        level = host.run("systemd-analyze", "security", "--no-pager", "--threshold=24", unit)
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", level)[1]
        told = host.try_run("systemd-analyze", "verify", "--recursive-errors=no", "--man=no", unit, "gossipd-apply.socket")
        require(told.returncode == 0 and not told.stderr.strip(), f"systemd-analyze verify: {told.stderr}")
        # What a program that it runs can do.
        host.put("/etc/gossipd/probe", PROBE, 0o755)
        host.put("/etc/gossipd/render.d/probe.toml",
                 'destination = "/etc/probed"\nkey = "web/extra"\ncheck = ["/etc/gossipd/probe", "{file}"]\n')
        # Destinations outside of its paths.
        host.run("mkdir", "-p", "/srv/site")
        places = {"srv": "/srv/site/a", "usr": "/usr/lib/a", "own": "/etc/gossipd/render.d/more.toml",
                  "evil": "/etc/gossipd/evil.toml", "tmp": "/tmp/a", "vartmp": "/var/tmp/a", "home": "/home" + "/a",
                  "dev": "/dev/shm/a", "state": "/var/lib/gossipd-apply/a", "run": "/run/gossipd-second/a"}
        for name, path in places.items():
            host.put(f"/etc/gossipd/render.d/{name}.toml", f'destination = "{path}"\nkey = "web/extra"\n')
        host.run("systemctl", "reload", "gossipd")
        wait(lambda: status(host, "probe")["state"] == "ok", "the probe is in place")
        can = host.run("cat", "/run/probed").splitlines()
        require(not can, f"in the helper's sandbox one can: {can}")
        require(host.run("stat", "-c", "%U %a", "/etc/probed").strip() == "root 644", "owner and mode of the probe")
        outside = {}
        for name, path in places.items():
            wait(lambda name=name: status(host, name)["state"] == "failed", f"{name} fails")
            outside[name] = status(host, name)["error"]
            require(len(outside[name]) > 20 and not (host.root / path[1:]).exists(), f"{path}: {outside[name]}")
            # The plan promises nothing else.
            plan = ask(host, "render", "plan", name)["files"][0]
            require(plan["change"] == "failed" and plan["error"], f"the plan of {path}: {plan}")
        checked = host.try_run("gossipd", "check-config", CONFIGURATION)
        for name in places.keys() - {"srv"}:
            require(checked.returncode == 78 and f"render.d/{name}.toml:1: destination: must not" in checked.stderr,
                    f"check-config on {name}: {checked.stderr}")
        # A check that writes to the file.
        host.put("/etc/gossipd/render.d/writes.toml",
                 'destination = "/etc/written"\nkey = "web/extra"\ncheck = ["/bin/sh", "-c", "echo worse >>{file}"]\n')
        # Descriptions in a folder that others may write.
        host.run("chmod", "0777", "/etc/gossipd/render.d")
        host.run("systemctl", "reload", "gossipd")
        wait(lambda: "/etc/gossipd/render.d: can be written by others than root (mode 777)" in
             (status(host, "writes").get("error") or ""), "the folder and its mode are told")
        host.run("chmod", "0755", "/etc/gossipd/render.d")
        host.run("systemctl", "reload", "gossipd")
        wait(lambda: "its check changed the file" in (status(host, "writes").get("error") or ""), "the check is told")
        require(status(host, "writes")["state"] == "failed" and not (host.root / "etc/written").exists(), "it was put in place")
        require(status(host, "site")["state"] == "ok", "the others go on")
        # Who may ask.
        request = {"operation": "compare", "files": [{"name": "site", "content_base64": ""}]}
        require("Permission denied" in knock(host, "www-data", request), f"www-data: {knock(host, 'www-data', request)}")
        host.run("chmod", "0666", "/run/gossipd-apply.sock")
        turned_away = [knock(host, "www-data", request) for _ in range(20)]
        host.run("chmod", "0600", "/run/gossipd-apply.sock")
        require(all("may not ask" in answer for answer in turned_away), f"www-data was answered: {turned_away}")
        # A daemon that was taken over: unknown names, contents that do not pass the check, other destinations.
        before = content(host), content(host, EXTRA)
        bad = "c2VydmVyIHsgbGlzdGVuIDkwMDE7IG5vbnNlbnNlIG9uOyB9ICAgICAgICAgICAgICA="
        answers = [knock(host, "gossipd", {"operation": "apply", "files": [
            {"name": name, "content_base64": bad, "destination": "/etc/shadow", "check": []}]})
            for name in ("nothing", "../../shadow", "extra")]
        for answer in answers:
            require('"applied"' not in answer and "outcome" in answer, f"the helper has taken {answer}")
        require((content(host), content(host, EXTRA)) == before, "a taken over daemon has changed a file")
        require(fleet.active(host, "nginx"), "nginx does not run")
        host.run("sh", "-c", "rm -rf /etc/probed /srv/site; cd /etc/gossipd/render.d && rm probe.toml writes.toml "
                 + " ".join(f"{name}.toml" for name in places))
        note(f"  exposure {level}; www-data at the helper: {json.loads(turned_away[0])['error']}")
        for name, sentence in outside.items():
            note(f"  {name}: {sentence[:200]}")
        note(f"  the daemon's user with other contents: {answers[-1][:230]}")
