// SPDX-License-Identifier: Apache-2.0
// Owns the slow timers: trying failed members again, and dropping those whose retention is over.

import ClusterTypes

extension Membership {
    /// How often the table is looked through for members to drop.
    var reapInterval: Interval { .seconds(60) }

    func nextReconnect(using rng: inout SeededGenerator) -> Interval {
        rng.jittered(configuration.reconnectInterval, spread: 0.5)
    }

    /// Pings one failed member, telling it what is said of it, so that it refutes if it is alive after all.
    ///
    /// The chance falls with the share of failed members: the whole cluster together tries each failed member about
    /// four times per `reconnectInterval`, however large it is.
    mutating func onReconnect(clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]) {
        guard !isLeaving else { return }
        actions.append(.setTimer(.reconnect(generation: upkeepGeneration), at: clock.now + nextReconnect(using: &rng)))
        let failed = table.count(of: .failed)
        guard failed > 0, rng.chance(4 * Double(failed) / Double(table.activeCount)) else { return }
        let member = table.members(in: .failed)[rng.index(below: failed)]
        let ping = Ping(sequence: takeSequence(), target: member.id)
        actions.append(.send([.update(member.update(accuser: selfID)), .ping(ping)], to: member.info.address))
    }

    /// How long a member stays in the table after it reached `state`.
    func retention(of state: MemberState) -> Interval {
        state == .forgotten ? configuration.forgottenRetention : configuration.failedRetention
    }

    mutating func onReap(clock: Clock, into actions: inout [SWIMAction]) {
        guard !isLeaving else { return }
        actions.append(.setTimer(.reap(generation: upkeepGeneration), at: clock.now + reapInterval))
        let due = table.members.filter {
            !$0.state.isActive && $0.id != selfID && clock.now - $0.since.now >= retention(of: $0.state)
        }
        for member in due {
            if member.state != .forgotten { emit(.reaped, of: member.id, into: &actions) }
            keepPin(of: member)
            if reaped.count < Self.reapedMax { reaped[member.id] = member.incarnation }
            queue.remove(member.id)
            if let (gone, moved) = table.remove(member.id) {
                order.follow(removed: gone, moved: moved)
                gossipOrder.follow(removed: gone, moved: moved)
            }
        }
    }
}
