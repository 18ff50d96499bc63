// SPDX-License-Identifier: Apache-2.0
// Owns who waits for confirmations: clients here, and peers whose questions wait for our disk.

import ClusterTypes
import StoreCore

/// Clients that wait, and peers' questions that wait for our disk; bounded.
struct ConfirmationState: Sendable {
    /// A write that can be asked for.
    struct Write: Sendable {
        var key: String
        var version: String
        /// Some of its rows, each with its event; at most `rowsMax`.
        var rows: [(id: RowID, dot: Dot)]
        var isTransaction: Bool
        /// The write is durable here with this; nil: it is.
        var token: PersistToken?
    }

    struct Client: Sendable {
        let question: UInt32
        let write: Write
        let atLeast: Int
        let deadline: Instant
        /// Peers that hold it.
        var confirmed: Set<NodeID> = []
        /// Peers that were asked in this round and have not answered.
        var inFlight: [NodeID] = []
        /// Peers to ask next.
        var queue: [NodeID] = []
        /// Until the next round.
        var wait = ConfirmationState.waitMin

        init(question: UInt32, write: Write, atLeast: Int, deadline: Instant) {
            self.question = question
            self.write = write
            self.atLeast = atLeast
            self.deadline = deadline
        }
    }

    /// A peer's question that is answered when it can be.
    struct Owed: Sendable {
        let question: UInt32
        let peer: NodeID
        let dots: [Dot]
        let until: Instant
        /// We hold the events; they are durable with this. Nil: they have not come.
        var awaits: PersistToken?
    }

    /// Questions of one client that are open at once.
    static let inFlightMax = 16
    static let waitMin = Interval.milliseconds(50)
    static let waitMax = Interval.seconds(1)
    /// Names of peers that have not confirmed.
    static let missingMax = 16
    /// Events of one question.
    static let dotsMax = 64
    /// Questions of peers that wait, and how long they do; the peer repeats its question.
    static let owedMax = 1_024
    static let owedAgeMax = Interval.seconds(10)
    /// Own writes that are remembered with their events, and rows of each.
    static let recentMax = 1_024
    static let rowsMax = 8

    var clients: [CommandID: Client] = [:]
    private var commands: [UInt32: CommandID] = [:]
    private var lastQuestion: UInt32?
    /// A ring: the write with number n is at n modulo `recentMax`.
    private var recent: [Write] = []
    private var written = 0
    private(set) var owed: [Owed] = []
    /// Everything up to this token is durable.
    var durableTo = PersistToken(rawValue: 0)

    func isDurable(_ token: PersistToken) -> Bool { token <= durableTo }

    mutating func remember(_ rows: [Row], key: String, version: String, token: PersistToken) {
        let events = rows.suffix(Self.rowsMax).compactMap { row in
            row.versions.first { $0.actor == row.author }.map { (row.id, $0) }
        }
        let write = Write(
            key: key, version: version, rows: events, isTransaction: rows.count > 1, token: token)
        if recent.count < Self.recentMax { recent.append(write) } else { recent[written % Self.recentMax] = write }
        written += 1
    }

    func find(key: String, version: String) -> Write? {
        recent.first { $0.version == version && ConfigurationKey.equal($0.key, key) }
    }

    /// Begins anywhere: an answer to a question of an earlier process must not fit one of this process.
    mutating func nextQuestion(using rng: inout SeededGenerator) -> UInt32 {
        let question = (lastQuestion ?? UInt32(truncatingIfNeeded: rng.next())) &+ 1
        lastQuestion = question
        return question
    }

    mutating func begin(_ client: Client, for id: CommandID) {
        clients[id] = client
        commands[client.question] = id
    }

    mutating func end(_ id: CommandID) {
        if let client = clients.removeValue(forKey: id) { commands[client.question] = nil }
    }

    /// A peer holds what the question asks for; the client that asked, when that is news to it.
    mutating func confirm(_ question: UInt32, by peer: NodeID) -> CommandID? {
        guard let id = commands[question], let client = clients[id] else { return nil }
        guard !client.confirmed.contains(peer) else { return nil }
        clients[id]?.confirmed.insert(peer)
        clients[id]?.inFlight.removeAll { $0 == peer }
        clients[id]?.queue.removeAll { $0 == peer }
        return id
    }

    /// Whoever has not answered is asked again, after those that have not been asked.
    mutating func beginRound(_ id: CommandID, isActive: (NodeID) -> Bool) {
        guard var client = clients.removeValue(forKey: id) else { return }
        client.queue = (client.queue + client.inFlight).filter(isActive)
        client.inFlight = []
        client.wait = min(client.wait * 2, Self.waitMax)
        clients[id] = client
    }

    /// Remembers a question until it can be answered; the oldest gives way.
    mutating func owe(_ request: ConfirmRequest, to peer: NodeID, awaits: PersistToken?, _ now: Instant) {
        owed.removeAll { entry in
            entry.until <= now || entry.question == request.id && entry.peer == peer && entry.dots == request.dots
        }
        if owed.count >= Self.owedMax { owed.removeFirst() }
        owed.append(
            Owed(
                question: request.id, peer: peer, dots: request.dots, until: now + Self.owedAgeMax, awaits: awaits))
    }

    mutating func noteHeld(by token: PersistToken, _ holds: ([Dot]) -> Bool) {
        for index in owed.indices where owed[index].awaits == nil && holds(owed[index].dots) {
            owed[index].awaits = token
        }
    }

    /// The questions whose events became durable with `token`.
    mutating func takeDurable(_ token: PersistToken, _ now: Instant) -> [(question: UInt32, peer: NodeID)] {
        take(now) { $0.awaits.map { $0 <= token } ?? false }
    }

    /// The questions whose events are held, when nothing waits for the disk.
    mutating func takeHeld(_ holds: ([Dot]) -> Bool, _ now: Instant) -> [(question: UInt32, peer: NodeID)] {
        take(now) { holds($0.dots) }
    }

    private mutating func take(
        _ now: Instant, _ isWanted: (Owed) -> Bool
    ) -> [(question: UInt32, peer: NodeID)] {
        var taken: [(question: UInt32, peer: NodeID)] = []
        owed.removeAll { entry in
            if entry.until <= now { return true }
            guard isWanted(entry) else { return false }
            taken.append((entry.question, entry.peer))
            return true
        }
        return taken
    }
}
