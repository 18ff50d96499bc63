// SPDX-License-Identifier: Apache-2.0
// Owns who may say what of a node: statements are signed by their subject, whose key is pinned, and two that contradict
// each other are kept as proof.

import ClusterTypes

/// What a node says of itself and signs.
package struct SelfStatement: Hashable, Sendable {
    package var subject: NodeID
    package var incarnation: UInt64
    package var word: Word

    package init(subject: NodeID, incarnation: UInt64, word: Word) {
        self.subject = subject
        self.incarnation = incarnation
        self.word = word
    }

    /// - `present`: I take part, and this is my name, address, tags and version.
    /// - `left`: I leave.
    package enum Word: Hashable, Sendable {
        case present(MemberInfo)
        case left
    }
}

/// How this node signs its own statements and checks those of others. Both are functions of their arguments alone;
/// the daemon uses Ed25519 (RFC 8032), the simulator something cheaper.
package struct Authorship: Sendable {
    package var sign: @Sendable (SelfStatement) -> AuthorProof?
    package var isGenuine: @Sendable (SelfStatement, AuthorProof) -> Bool

    package init(
        sign: @escaping @Sendable (SelfStatement) -> AuthorProof?,
        isGenuine: @escaping @Sendable (SelfStatement, AuthorProof) -> Bool
    ) {
        self.sign = sign
        self.isGenuine = isGenuine
    }
}

/// Two statements of one node under one incarnation, both signed with its key: two processes have one identity, or the
/// node lies.
package struct Equivocation: Hashable, Sendable {
    package var incarnation: UInt64
    package var kept: MemberInfo
    package var other: MemberInfo
}

/// Keys and contradictions that a membership remembers beyond its table.
package struct AuthorState: Sendable {
    /// Keys of nodes that are not in the table: dropped ones, and those that an earlier process knew.
    var pins: [NodeID: AuthorKey] = [:]
    /// The latest contradiction of each node, at most `equivocationsMax`.
    package internal(set) var equivocations: [NodeID: Equivocation] = [:]
    var forgeryToldAt: [NodeID: Instant] = [:]

    static let pinsMax = 20_000
    static let equivocationsMax = 256
    /// Nodes whose forgeries were told of late; beyond them forgeries are counted alone.
    static let forgeriesToldMax = 64
    /// Between two reports of forgeries in one node's name.
    static let forgeryTellInterval = Interval.seconds(60)
}

extension Membership {
    /// The key under which `id` was first heard; nil when it never signed. It stays when the member is forgotten: that is
    /// anybody's word, and would hand the id to whoever says it.
    package func pinnedKey(of id: NodeID) -> AuthorKey? { table[id]?.info.proof?.key ?? authors.pins[id] }

    /// Whether the subject itself said this: signed with its pinned key, or with any key when none is pinned. A node that
    /// has never signed, as nodes of older versions do, is believed without.
    mutating func isGenuine(
        _ statement: SelfStatement, _ proof: AuthorProof?, clock: Clock, into actions: inout [SWIMAction]
    ) -> Bool {
        guard let authorship else { return true }
        let pinned = statement.subject == selfID ? me.info.proof?.key : pinnedKey(of: statement.subject)
        let isGenuine: Bool =
            if let proof {
                (pinned ?? proof.key) == proof.key && authorship.isGenuine(statement, proof)
            } else {
                pinned == nil
            }
        if !isGenuine { reportForgery(statement, proof, pinned: pinned, clock: clock, into: &actions) }
        return isGenuine
    }

    private mutating func reportForgery(
        _ statement: SelfStatement, _ proof: AuthorProof?, pinned: AuthorKey?, clock: Clock,
        into actions: inout [SWIMAction]
    ) {
        statistics.claimsForged += 1
        let id = statement.subject
        if let last = authors.forgeryToldAt[id], clock.now - last < AuthorState.forgeryTellInterval { return }
        if authors.forgeryToldAt[id] == nil, authors.forgeryToldAt.count >= AuthorState.forgeriesToldMax {
            authors.forgeryToldAt = authors.forgeryToldAt.filter {
                clock.now - $0.value < AuthorState.forgeryTellInterval
            }
            guard authors.forgeryToldAt.count < AuthorState.forgeriesToldMax else { return }
        }
        authors.forgeryToldAt[id] = clock.now
        let forgery = Forgery(
            key: proof?.key, pinned: pinned, incarnation: statement.incarnation,
            info: { if case .present(let info) = statement.word { info } else { nil } }())
        emit(.forged(forgery), of: id, into: &actions)
    }

    /// Another statement of the incarnation that we know, of other content. Everybody keeps the same one of the two, so
    /// that tables agree; both are kept as proof when both are signed.
    mutating func onContradiction(
        _ update: MemberUpdate, info: MemberInfo, clock: Clock, into actions: inout [SWIMAction]
    ) {
        let id = update.subject
        guard let member = table[id], member.state.isActive else { return }
        let lacksProof = member.info.proof == nil && info.proof != nil
        guard member.info != info || lacksProof else { return }
        let statement = SelfStatement(subject: id, incarnation: update.incarnation, word: .present(info))
        guard isGenuine(statement, info.proof, clock: clock, into: &actions) else { return }
        guard member.info != info else {
            table.change(id) { $0.info = info }
            return
        }
        // What was held without proof may be of an earlier incarnation.
        let isStronger =
            lacksProof
            || member.info.contentHash < info.contentHash && (member.info.proof == nil || info.proof != nil)
        let winner = isStronger ? info : member.info
        let loser = isStronger ? member.info : info
        if isStronger {
            table.change(id) { $0.info = info }
            disseminate(update)
            emit(.updated(from: member.info), of: id, into: &actions)
            if member.info.name != info.name { reportNameConflict(of: id, into: &actions) }
        }
        guard winner.proof != nil, loser.proof != nil, authors.equivocations[id]?.incarnation != update.incarnation
        else { return }
        if authors.equivocations[id] == nil, authors.equivocations.count >= AuthorState.equivocationsMax,
            let oldest = authors.equivocations.min(by: { $0.key < $1.key })?.key
        {
            authors.equivocations[oldest] = nil
        }
        let equivocation = Equivocation(incarnation: update.incarnation, kept: winner, other: loser)
        authors.equivocations[id] = equivocation
        emit(.equivocated(equivocation), of: id, into: &actions)
    }

    /// What this node says of itself under `incarnation`, signed.
    func signed(_ info: MemberInfo, incarnation: UInt64) -> MemberInfo {
        guard let authorship else { return info }
        return info.proven(
            by: authorship.sign(SelfStatement(subject: selfID, incarnation: incarnation, word: .present(info))))
    }

    /// Somebody else's word moves a member to an incarnation of which it has said nothing here: the proof at hand is of
    /// another one. The key stays pinned.
    mutating func dropStaleProof(of id: NodeID, at incarnation: UInt64) {
        guard let member = table[id], member.incarnation != incarnation, let proof = member.info.proof else { return }
        if authors.pins.count < AuthorState.pinsMax { authors.pins[id] = proof.key }
        table.change(id) { $0.info = $0.info.proven(by: nil) }
    }

    /// What a peer's row says of a member's own words; nil when the peer cannot prove what it holds and this node knows
    /// that the member signs.
    func ownWords(of entry: MemberTableEntry) -> MemberClaim? {
        entry.info.proof == nil && pinnedKey(of: entry.id) != nil ? nil : .alive(entry.info)
    }

    /// What is known of a member that is gone already, without a proof that does not hold.
    func checked(_ entry: MemberTableEntry) -> MemberInfo {
        guard let authorship, let proof = entry.info.proof else { return entry.info }
        let word: SelfStatement.Word = entry.state == .left ? .left : .present(entry.info)
        let statement = SelfStatement(subject: entry.id, incarnation: entry.incarnation, word: word)
        let isPinned = authors.pins[entry.id].map { $0 == proof.key } ?? true
        return isPinned && authorship.isGenuine(statement, proof) ? entry.info : entry.info.proven(by: nil)
    }

    /// The member is dropped from the table: its key is remembered as long as there is room.
    mutating func keepPin(of member: Member) {
        authors.equivocations[member.id] = nil
        if let key = member.info.proof?.key, authors.pins.count < AuthorState.pinsMax {
            authors.pins[member.id] = key
        }
    }
}
