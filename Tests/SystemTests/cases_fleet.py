# SPDX-License-Identifier: Apache-2.0
"""Owns the cases of the fleet: restart and stop, reboot, power cut, upgrade, two protocol versions, removal and purge."""

import time

import fleet
from fleet import CONFIGURATION, ask, ctl, require
from lab import note, run, wait

GONE = ("member_left", "member_failed", "member_forgotten")


def cursors(hosts):
    return {host.name: fleet.journal_cursor(host) for host in hosts}


def heard(hosts, since, *events):
    return [(host.name, *event) for host in hosts for event in fleet.told(host, since[host.name], *events)]


def restart(lab, _):
    """systemctl restart, again and again under load: clients wait, no read and no write fails; the fleet sees nothing."""
    host, others = lab.hosts[1], [lab.hosts[0], *lab.hosts[2:]]
    since = cursors(others)
    readers = fleet.Readers(host, count=2)
    load = fleet.Load(host, "restart")
    wait(lambda: len(readers.waits) > 20, "the clients ask")
    times = []
    for _ in range(12):
        # More restarts in a minute than StartLimitBurst= allows.
        host.run("systemctl", "reset-failed", "gossipd")
        times.append(fleet.elapsed(lambda: host.run("systemctl", "restart", "gossipd")))
        time.sleep(0.5)
    written = load.finish()
    readers.stop()
    require(not readers.failures, f"{len(readers.failures)} of the clients' requests failed: {readers.failures[:3]}")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again")
    seen = heard(others, since, *GONE)
    require(not seen, f"the fleet saw the restarts as {seen}")
    back = heard(others, since, "member_suspected")
    note(f"  {len(times)} restarts, {max(times):.2f} s the longest; {len(readers.waits)} reads, none failed, the longest "
         f"{max(readers.waits)} ms; {written}; the others suspected it {len(back)} times and never missed it")


def stop(lab, _):
    """systemctl stop: the host leaves, well inside TimeoutStopSec, its socket closes, nobody starts it by asking."""
    host, others = lab.hosts[4], lab.hosts[:4]
    since = cursors(others)
    took = fleet.elapsed(lambda: host.run("systemctl", "stop", "gossipd"))
    # It takes hundredths of a second, whatever the daemon is about; TimeoutStopSec= is ten seconds.
    limit = 2
    require(took < limit, f"the stop took {took:.1f} s, allowed are {limit}")
    require(host.show("gossipd", "Result") == "success", "the stop was no clean one")
    for other in others:
        wait(lambda other=other: fleet.sees(other, host_5="left"), f"{other.name} sees it as left", 5)
    require(not heard(others, since, "member_failed"), "somebody saw it fail")
    status = host.try_run("gossipctl", "status")
    require(status.returncode == 69, f"asking a stopped daemon: status {status.returncode}")
    time.sleep(1)
    require(host.show("gossipd", "ActiveState") == "inactive", "asking has started it again")
    # A leave by command, the same.
    host.run("systemctl", "start", "gossipd")
    wait(lambda: fleet.all_alive(lab.hosts), "it is back")
    ctl(host, "leave")
    wait(lambda: host.show("gossipd", "ActiveState") == "inactive", "it has stopped")
    require(host.try_run("gossipctl", "status").returncode == 69, "it still answers")
    time.sleep(1)
    require(host.show("gossipd", "ActiveState") == "inactive", "it was started again after the leave")
    host.run("systemctl", "start", "gossipd")
    wait(lambda: fleet.all_alive(lab.hosts), "it is back again")
    # Just started, while delivery still waits for news of the others.
    early = fleet.elapsed(lambda: host.run("systemctl", "stop", "gossipd"))
    require(early < limit, f"the stop right after a start took {early:.1f} s, allowed are {limit}")
    host.run("systemctl", "start", "gossipd")
    wait(lambda: fleet.all_alive(lab.hosts), "it is back for good")
    note(f"  left in {took:.2f} s, right after a start in {early:.2f} s; stays away, also when asked")


def reboot(lab, _):
    """A reboot: the host leaves, comes back by itself as the same node, with its journal and its keys."""
    host, other = lab.hosts[3], lab.hosts[0]
    identity, leader, since = fleet.node_id(host), host.leader(), fleet.journal_cursor(other)
    ctl(host, "kv", "put", "app/reboot", "yes")
    began = time.monotonic()
    host.run("systemctl", "reboot", check=False)
    wait(lambda: host.leader() not in (None, leader), "it boots again", 60)
    host.wait_up()
    wait(lambda: fleet.active(host), "gossipd is started at boot")
    require(fleet.node_id(host) == identity, "it is another node now")
    require(ctl(host, "kv", "get", "app/reboot") == "yes", "its keys are gone")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again")
    took = time.monotonic() - began
    seen = fleet.told(other, since, "member_left", "member_alive", "member_failed", "member_joined")
    require(("member_left", host.name) in seen and ("member_failed", host.name) not in seen,
            f"the others saw the reboot as {seen}")
    boots = host.run("journalctl", "--no-pager", "--list-boots").strip().count("\n") + 1
    require(boots >= 2, "the journal of the former boot is gone")
    note(f"  away for {took:.1f} s, seen as left and alive, the same node")


def power_cut(lab, _):
    """Every process ends at once under writes: what was acknowledged is on this host's own disk."""
    host, hub = lab.hosts[4], f"{lab.mark}-hub"
    identity = fleet.node_id(host)
    writer = fleet.Writer(host, "power")
    wait(lambda: len(writer.acknowledged) >= 150, "enough is written", 60)
    host.cut_power()
    numbers = writer.stop()
    # Without the network: what it has must come from its own disk.
    run("ip", "-n", hub, "link", "set", f"port{host.number}", "down")
    host.boot()
    host.wait_up()
    wait(lambda: fleet.active(host), "gossipd is started at boot")
    lost = fleet.missing(host, "power", numbers)
    require(not lost, f"{len(lost)} of {len(numbers)} acknowledged writes are lost: {lost[:5]}")
    require(fleet.node_id(host) == identity, "it is another node now")
    run("ip", "-n", hub, "link", "set", f"port{host.number}", "up")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again", 60)
    wait(lambda: not fleet.missing(lab.hosts[0], "power", numbers), "the others have the writes as well")
    note(f"  {len(numbers)} acknowledged writes, none lost")


def upgrade_host(host, package):
    """apt upgrades one host; returns how long that took."""
    (host.root / "srv/next.deb").write_bytes(package.read_bytes())
    return fleet.elapsed(lambda: host.run(
        "apt-get", "install", "-y", "--allow-downgrades", "/srv/next.deb", timeout=120))


def upgrade(lab, packages):
    """An upgrade is one restart for the fleet, keeps configuration, identity and data, and fails no read and no write."""
    host, others = lab.hosts[1], [lab.hosts[0], *lab.hosts[2:]]
    identity = fleet.node_id(host)
    text = host.run("cat", CONFIGURATION)
    since, own = cursors(others), fleet.journal_cursor(host)
    readers = fleet.Readers(host, count=2)
    load = fleet.Load(host, "upgrade")
    # Up, back, and up again.
    steps = (packages.later, packages.current, packages.later)
    took = max(upgrade_host(host, package) for package in steps)
    written = load.finish()
    readers.stop()
    require(host.run("dpkg-query", "-W", "-f", "${Version}", "gossipd") == packages.version(packages.later), "version")
    require(not readers.failures, f"clients failed: {readers.failures[:3]}")
    instance = "gossipd@second.service"
    for unit in ("gossipd.service", instance) if fleet.active(host, instance) else ("gossipd.service",):
        wait(lambda unit=unit: fleet.active(host, unit), f"{unit} is active")
        starts = fleet.journal(host, f"_SYSTEMD_UNIT={unit}", "GOSSIPD_EVENT=started", since=own)
        require(len(starts) == len(steps), f"{unit} was started {len(starts)} times")
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive again")
    seen = heard(others, since, *GONE, "member_joined")
    require(not seen, f"the fleet saw the upgrade as {seen}")
    require(fleet.node_id(host) == identity, "it is another node now")
    require(host.run("cat", CONFIGURATION) == text, "the configuration was changed")
    require(ctl(host, "kv", "get", "app/first") == "1", "keys are gone")
    note(f"  apt took {took:.1f} s at most, {len(steps)} times; one start each, no leave, no failure; {len(readers.waits)} reads, "
         f"none failed; {written}")


def protocols(lab, packages):
    """From one protocol version to the next and one host back, one host at a time, under writes: nothing is lost."""
    old, new = lab.hosts[0], lab.hosts[4]
    writers = {host.name: fleet.Writer(host, f"writes-{host.number}") for host in (old, new)}
    since = cursors(lab.hosts)
    skipped = 0
    for number, host in enumerate(lab.hosts):
        upgrade_host(host, packages.following)
        wait(lambda: fleet.all_alive(lab.hosts), f"all are alive after {host.name}")
        # Both ways between the versions, held by all before it is answered.
        others = [other for other in lab.hosts if other is not host]
        for writer, reader in ((host, others[0]), (others[-1], host)):
            key = f"app/step-{number}-{writer.number}"
            ctl(writer, "kv", "put", key, "1", "--wait", "all")
            require(ctl(reader, "kv", "get", key) == "1", f"{reader.name} lacks {key}")
        versions = {m["name"]: m.get("protocol_version") for m in ask(old, "members")["members"]}
        upgraded = sum(version == 0x11 for version in versions.values())
        require(upgraded == number + 1, f"after {number + 1} hosts the members speak {versions}")
        if number == 3:
            skipped = fleet.metric(lab.hosts[4], "gossipd_messages_skipped_total")
            require(skipped > 0, "the old version has seen no message that it does not know: nothing was proved")
    back = lab.hosts[2]
    upgrade_host(back, packages.later)
    wait(lambda: fleet.all_alive(lab.hosts), "all are alive after one went back")
    written = {}
    for host in (old, new):
        numbers = writers[host.name].stop()
        failures = writers[host.name].failures
        require(not failures, f"{len(failures)} writes of {host.name} failed: {failures[:3]}")
        written[host.number] = numbers
        for reader in lab.hosts:
            wait(lambda reader=reader, host=host, numbers=numbers: not fleet.missing(
                reader, f"writes-{host.number}", numbers), f"{reader.name} has every write of {host.name}", 30)
    seen = heard(lab.hosts, since, *GONE)
    require(not seen, f"the fleet saw the upgrades as {seen}")
    wait(lambda: lab.hosts[3].try_run("gossipctl", "kv", "verify").returncode == 0, "all stores are equal", 30)
    rejected = [other for other in lab.hosts if fleet.metric(other, "gossipd_packets_malformed_total") > 0]
    require(not rejected, f"{[host.name for host in rejected]} have rejected packets")
    note(f"  5 hosts up and one back; {sum(map(len, written.values()))} acknowledged writes, none lost, none "
         f"refused; {skipped:.0f} unknown messages passed over by the last old one; all stores equal")


def purge(lab, _):
    """A removal leaves the cluster and keeps configuration and data; a purge removes them; the user stays."""
    host, other = lab.hosts[1], lab.hosts[0]
    since = fleet.journal_cursor(other)
    host.run("systemctl", "start", "gossipd-apply.service")
    require((host.root / "var/lib/gossipd-apply").is_dir(), "the helper has no folder")
    host.run("apt-get", "remove", "-y", "gossipd", timeout=120)
    wait(lambda: fleet.sees(other, host_2="left"), "the removed host has left")
    require(("member_failed", host.name) not in fleet.told(other, since, "member_failed"), "it was seen to fail")
    for path in ("var/lib/gossipd/store.db", "etc/gossipd/gossipd.toml"):
        require((host.root / path).exists(), f"the removal has deleted {path}")
    for unit in ("gossipd.service", "gossipd.socket", "gossipd@second.service", "gossipd@second.socket",
                 "gossipd-apply.service", "gossipd-apply.socket"):
        require(not fleet.active(host, unit), f"{unit} still runs")
    # Installed again: the same node, with its data.
    host.run("apt-get", "install", "-y", "/srv/gossipd.deb", timeout=120)
    wait(lambda: fleet.all_alive(lab.hosts), "it is back after a new installation")
    require(ctl(host, "kv", "get", "app/first") == "1", "its keys are gone")
    # A cluster whose configuration was deleted before.
    require((host.root / "var/lib/gossipd-second/identity").exists(), "the second cluster has no folder")
    host.run("rm", "-f", "/etc/gossipd/second.toml")
    host.run("mkdir", "-p", "/var/lib/gossipd-of-others")
    host.run("apt-get", "purge", "-y", "gossipd", timeout=120)
    require(host.try_run("rmdir", "/var/lib/gossipd-of-others").returncode == 0, "a folder that is no cluster's was removed")
    for path in ("var/lib/gossipd", "var/lib/gossipd-second", "var/lib/gossipd-apply", "etc/gossipd", "run/gossipd",
                 "run/gossipd-apply.sock", "usr/bin/gossipd", "usr/lib/gossipd", "lib/systemd/system/gossipd-apply.socket",
                 "lib/systemd/system/gossipd.service", "etc/systemd/system/multi-user.target.wants/gossipd.service"):
        require(host.try_run("test", "-e", f"/{path}").returncode != 0, f"the purge has left /{path}")
    require(host.try_run("id", "gossipd").returncode == 0, "the user is gone")
    require(not host.run("systemctl", "--failed", "--no-legend", "--plain").strip(), "a unit has failed")
    left = host.run("sh", "-c", "find /etc /usr /var/lib/systemd -xdev -name '*gossipd*' 2>/dev/null || true").split()
    require(not left, f"the purge has left {left}")
    note("  removed: left, data kept; installed again: the same node; purged: nothing is left but the user")
