// SPDX-License-Identifier: Apache-2.0
// Owns finding the cluster: seeds and remembered peers, tried with jittered backoff until they answer, and for ever.

import ClusterTypes
import SWIMCore
import StoreCore

/// An address to find the cluster at.
struct Seed: Sendable {
    enum Origin: Hashable, Sendable {
        case configuration
        /// Remembered by an earlier process.
        case remembered
        /// Of a member that failed and was dropped from the table.
        case dropped
        /// Asked for once by a client.
        case command
    }

    let text: String
    let origin: Origin
    var attempts = 0
    var dueAt: Instant
    var isInFlight = false
    var hasAnswered = false
}

/// A client that waits for its seeds.
struct PendingJoin: Sendable {
    let id: CommandID
    var remaining: [String]
    var report: JoinReport
}

extension NodeKernel {
    static let seedsMax = 256
    static let absentPeersMax = 32
    /// The first wait after a failure; each further failure makes it 1.6 times longer.
    private static let backoffMin = Interval.milliseconds(250)
    /// The longest wait while this node is alone: who starts last should be found at once.
    private static let backoffMaxAlone = Interval.seconds(1)
    /// The longest wait while there is company, and the wait before a seed that answered is looked at again.
    private static let backoffMax = Interval.seconds(30)
    /// The longest wait for a member that was dropped, while there is company.
    private static let backoffMaxDropped = Interval.seconds(120)

    mutating func startJoining(_ turn: inout Turn) {
        for text in configuration.seeds { addSeed(text, .configuration, &turn) }
        for peer in configuration.rememberedPeers { addSeed(peer.address.description, .remembered, &turn) }
        trySeeds(&turn)
    }

    private mutating func addSeed(_ text: String, _ origin: Seed.Origin, _ turn: inout Turn) {
        if let index = seeds.firstIndex(where: { $0.text == text }) {
            seeds[index].dueAt = turn.now
            return
        }
        guard seeds.count < Self.seedsMax else { return }
        seeds.append(Seed(text: text, origin: origin, dueAt: turn.now))
    }

    /// Failed members are dropped from the table in the end, and may come back all the same: their addresses are tried
    /// for ever, those of the last `absentPeersMax` of them.
    mutating func tryAbsentPeers(_ turn: inout Turn) {
        absentPeers.removeAll { peer in membership.table[peer.id].map { $0.state != .failed } ?? false }
        for member in membership.table.members(in: .failed) {
            if absentPeers.contains(where: { $0.id == member.id }) { continue }
            if absentPeers.count >= Self.absentPeersMax { absentPeers.removeFirst() }
            absentPeers.append(remembered(member))
        }
        let dropped = absentPeers.filter { membership.table[$0.id] == nil }.map(\.address.description)
        seeds.removeAll { $0.origin == .dropped && !$0.isInFlight && !dropped.contains($0.text) }
        for text in dropped where !seeds.contains(where: { $0.text == text }) {
            addSeed(text, .dropped, &turn)
        }
        trySeeds(&turn)
    }

    /// The configuration was reloaded.
    mutating func replaceSeeds(_ texts: [String], _ turn: inout Turn) {
        seeds.removeAll { $0.origin == .configuration && !texts.contains($0.text) }
        for text in texts where !seeds.contains(where: { $0.text == text }) {
            addSeed(text, .configuration, &turn)
        }
        trySeeds(&turn)
    }

    mutating func join(_ texts: [String], command: CommandID, _ turn: inout Turn) {
        let wanted = texts.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        guard !wanted.isEmpty, wanted.count <= Self.seedsMax - seeds.count else {
            turn.actions.append(.reply(command, .failure(.invalid("name between one and a few dozen addresses"))))
            return
        }
        joins.append(PendingJoin(id: command, remaining: wanted, report: JoinReport(answered: [], failed: [])))
        for text in wanted { addSeed(text, .command, &turn) }
        trySeeds(&turn)
    }

    /// Contacts every seed that is due, and sets the timer for the next one.
    mutating func trySeeds(_ turn: inout Turn) {
        guard membership.isStarted, !membership.isLeaving else { return }
        // Contacting one may settle it at once and remove it: each is looked at as it is then.
        for text in seeds.map(\.text) {
            guard let index = seeds.firstIndex(where: { $0.text == text }), seeds[index].dueAt <= turn.now,
                !seeds[index].isInFlight
            else { continue }
            seeds[index].isInFlight = true
            if let address = Address(text) {
                contact(text, [address], &turn)
            } else {
                turn.actions.append(.resolve(seed: text))
            }
        }
        setJoinTimer(&turn)
    }

    mutating func onJoinTimer(_ generation: UInt64, _ turn: inout Turn) {
        guard generation == joinGeneration else { return }
        joinTimerAt = nil
        trySeeds(&turn)
    }

    /// One timer at a time, for the seed that is due next.
    private mutating func setJoinTimer(_ turn: inout Turn) {
        guard let next = seeds.filter({ !$0.isInFlight }).map(\.dueAt).min() else { return }
        if let joinTimerAt, joinTimerAt <= next { return }
        joinTimerAt = next
        joinGeneration += 1
        turn.actions.append(.setTimer(.join(generation: joinGeneration), at: next))
    }

    mutating func onResolved(_ text: String, _ addresses: [Address], _ turn: inout Turn) {
        guard let seed = seeds.first(where: { $0.text == text }), seed.isInFlight else { return }
        guard !addresses.isEmpty else {
            seedFailed(text, .unresolved, &turn)
            return
        }
        contact(text, addresses, &turn)
    }

    /// Contacts one of a seed's addresses, another one at each attempt; a seed that is this node or an active member
    /// has answered already, unless a client asks.
    private mutating func contact(_ text: String, _ addresses: [Address], _ turn: inout Turn) {
        guard let seed = seeds.first(where: { $0.text == text }) else { return }
        let address = addresses[seed.attempts % addresses.count]
        let me = membership.me.info.address
        let isKnown = membership.table.members.contains { $0.info.address == address && $0.state.isActive }
        if address == me || isKnown {
            settle(text, answered: true, &turn)
            answerJoins(text, failure: nil, &turn)
            return
        }
        if !startMemberSync(to: address, peer: nil, seed: text, &turn) { seedFailed(text, .brokenOff, &turn) }
    }

    /// A seed turned out to be this node: there is nobody to join there.
    mutating func seedIsSelf(_ text: String, _ turn: inout Turn) {
        settle(text, answered: true, &turn)
        answerJoins(text, failure: nil, &turn)
    }

    mutating func seedAnswered(_ text: String, address: Address, peer: NodeID, _ turn: inout Turn) {
        let isNews = seeds.first { $0.text == text }?.hasAnswered == false
        let isMember = membership.table[peer]?.state.isActive == true
        settle(text, answered: true, isMember: isMember, &turn)
        if isNews {
            turn.actions.append(
                .event(
                    .joinSucceeded(seed: text, address: address, members: membership.table.activeCount)))
        }
        answerJoins(text, failure: nil, &turn)
        synchroniseAfterJoin(with: peer, &turn)
    }

    mutating func seedFailed(_ text: String, _ reason: JoinFailure, _ turn: inout Turn) {
        guard let seed = seeds.first(where: { $0.text == text }) else { return }
        settle(text, answered: false, &turn)
        let attempts = seed.attempts + 1
        // Told on the 1st, 2nd, 4th, 8th... failure; nobody asked for the remembered ones.
        if seed.origin == .configuration, attempts & (attempts - 1) == 0 {
            turn.actions.append(.event(.joinFailed(seed: text, reason: reason, attempts: attempts)))
        }
        answerJoins(text, failure: reason, &turn)
    }

    /// Plans the next attempt; a seed that a client named has had its one attempt. Where a peer answered and is no member
    /// all the same, each had dropped the other, and has now been told: soon they look at each other again.
    private mutating func settle(_ text: String, answered: Bool, isMember: Bool = true, _ turn: inout Turn) {
        guard let index = seeds.firstIndex(where: { $0.text == text }) else { return }
        if seeds[index].origin == .command {
            seeds.remove(at: index)
        } else {
            seeds[index].isInFlight = false
            seeds[index].hasAnswered = seeds[index].hasAnswered || answered
            let isSettled = answered && isMember
            seeds[index].attempts = isSettled ? 0 : seeds[index].attempts + 1
            let wait = isSettled ? Self.backoffMax : backoff(seeds[index])
            seeds[index].dueAt = turn.now + turn.rng.jittered(wait, spread: 0.2)
        }
        setJoinTimer(&turn)
    }

    private func backoff(_ seed: Seed) -> Interval {
        let isAlone = membership.table.activePeers.isEmpty
        let longest =
            switch seed.origin {
            case .configuration, .remembered, .command: isAlone ? Self.backoffMaxAlone : Self.backoffMax
            case .dropped: isAlone ? Self.backoffMax : Self.backoffMaxDropped
            }
        var wait = Self.backoffMin
        for _ in 1..<max(2, min(seed.attempts, 20)) where wait < longest { wait = wait * 1.6 }
        return min(longest, wait)
    }

    private mutating func answerJoins(_ text: String, failure: JoinFailure?, _ turn: inout Turn) {
        for index in joins.indices where joins[index].remaining.contains(text) {
            joins[index].remaining.removeAll { $0 == text }
            if let failure {
                joins[index].report.failed.append((text, failure))
            } else {
                joins[index].report.answered.append(text)
            }
        }
        for join in joins where join.remaining.isEmpty {
            turn.actions.append(.reply(join.id, .joined(join.report)))
        }
        joins.removeAll { $0.remaining.isEmpty }
    }
}
