# SPDX-License-Identifier: Apache-2.0
"""Owns the cases about who a node is and where: another address, a name twice, an id twice, addresses of IPv6."""

import shutil
import time

from bridge import Bridge, Bridge6
from cases import NODES, eventually, expect, put, same_everywhere, same_roots


def members(fleet, name):
    return fleet.client(name).json("/v1/members")["members"]


def address_change(fleet, network):
    """A host that comes back under another address is the same member, found without a seed, and no second one appears."""
    name = fleet.names[3]
    before = next(one for one in members(fleet, fleet.names[0]) if one["name"] == name)
    mark = fleet.watcher.mark()
    fleet.kill(name)
    fleet.watcher.first(mark, fleet.others(name), "failed", name, 30)
    put(fleet, fleet.names[0], "net/moved", "meanwhile")
    network.move(fleet.host(name))
    fleet.launch(name)
    fleet.await_ready(name)

    def known(observer):
        return [(one["id"], one["address"], one["state"]) for one in members(fleet, observer) if one["name"] == name]

    expected = [(before["id"], fleet.endpoint(name), "alive")]
    for observer in fleet.names:
        eventually(f"{observer} knows {name} at its new address", lambda: known(observer) == expected, 30)
        expect(len(members(fleet, observer)) == NODES, f"{observer} has {len(members(fleet, observer))} members")
    same_everywhere(fleet, "net/moved", "meanwhile")


def name_conflict(fleet, _):
    """Two nodes of one name both stay, all nodes mark both and say so, and nobody is stopped."""
    name, twin = fleet.names[1], fleet.names[5]
    lines = fleet.reader.mark()
    fleet.kill(twin)
    fleet.launch(twin, fleet.names[0], called=name, data=fleet.data(twin) + "-other")
    fleet.await_ready(twin)
    fleet.reader.first(lines, fleet.others(name, twin), lambda text: '"event":"member_name_conflict"' in text, 20)

    def marked(observer):
        return sorted((one["state"], one.get("name_conflict")) for one in members(fleet, observer) if one["name"] == name)

    for observer in fleet.names:
        eventually(f"{observer} marks both", lambda: marked(observer) == [("alive", True)] * 2)
    time.sleep(5)
    for observer, process in fleet.processes.items():
        expect(process.child.poll() is None, f"{observer} has ended")
        expect(marked(observer) == [("alive", True)] * 2, f"{observer} says {marked(observer)} after 5 s")


def cloned_identity(fleet, _):
    """Of two processes with one id, as after a disk was cloned, the later one ends with 78; all goes on with the first."""
    name, host = fleet.names[4], fleet.names[5]
    fleet.kill(name)
    fleet.kill(host)
    shutil.copytree(fleet.data(name), fleet.data(host) + "-clone")
    lines = fleet.reader.mark()
    fleet.launch(name, fleet.names[0])
    fleet.reader.first(lines, [name], lambda text: '"event":"started"' in text, 20)
    time.sleep(0.1)  # Of two that begin in one moment either may be the later one.
    fleet.launch(host, fleet.names[0], called=name, data=fleet.data(host) + "-clone")
    clone = fleet.processes[host].child
    eventually("the copy ends", lambda: clone.poll() is not None, 40)
    expect(clone.returncode == 78, f"the copy ends with {clone.returncode}, not with 78")
    expect(any('"event":"identity_in_use"' in text for _, who, text in fleet.reader.lines[lines:] if who == host),
           "the copy does not say that its id is in use")
    fleet.kill(host)

    def seen(observer):
        return [(one["address"], one["state"]) for one in members(fleet, observer) if one["name"] == name]

    for observer in fleet.others(host):
        eventually(f"{observer} sees the first again", lambda: seen(observer) == [(fleet.endpoint(name), "alive")], 40)


def addresses_of_ipv6(fleet, network):
    """Over IPv6 alone: a cluster forms, a pulled cable is seen, a partition heals, and writes are everywhere."""
    name = fleet.names[5]
    put(fleet, fleet.names[0], "net/six", "one")
    same_everywhere(fleet, "net/six", "one")
    expect(all(one["address"].startswith("[2001:2:") for one in members(fleet, name)), "not every address is of IPv6")
    mark = fleet.watcher.mark()
    network.set_link(6, "down")
    fleet.watcher.first(mark, fleet.others(name), "failed", name, 30)
    network.set_link(6, "up")
    fleet.watcher.settled(0, fleet.pairs(), ("alive", "joined"), 60)
    left, right = fleet.names[:NODES // 2], fleet.names[NODES // 2:]
    across = fleet.pairs(left, right) + fleet.pairs(right, left)
    network.split([fleet.host(one) for one in left], [fleet.host(one) for one in right])
    fleet.watcher.settled(0, across, ("failed",), 40)
    put(fleet, right[0], "net/six", "two")
    network.split()
    fleet.watcher.settled(0, across, ("alive", "joined"), 40)
    same_everywhere(fleet, "net/six", "two")
    same_roots(fleet)


CASES = [(address_change, Bridge), (name_conflict, Bridge), (cloned_identity, Bridge), (addresses_of_ipv6, Bridge6)]
