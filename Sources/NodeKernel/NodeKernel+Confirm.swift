// SPDX-License-Identifier: Apache-2.0
// Owns confirmations: which peers hold a write durably, for clients that wait for it.

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    mutating func onConfirmCommand(
        _ id: CommandID, key: String, version: String, atLeast: Int, deadline: Interval, _ turn: inout Turn
    ) {
        guard isReady(id, &turn) else { return }
        guard let write = confirmations.find(key: key, version: version) ?? find(key: key, version: version) else {
            let failure: CommandFailure =
                store.version(of: key) == nil
                ? .noSuchKey(key) : .invalid("this node knows no write \(version) of '\(key)'")
            reply(id, .failure(failure), &turn)
            return
        }
        let client = ConfirmationState.Client(
            question: confirmations.nextQuestion(using: &turn.rng), write: write, atLeast: atLeast,
            deadline: turn.now + max(deadline, .zero))
        confirmations.begin(client, for: id)
        guard !answerConfirmed(id, &turn) else { return }
        askPeers(for: id, &turn)
        setConfirmTimer(id, &turn)
    }

    /// The rows of a write that is not among the latest of this node: of a peer, or of an earlier process.
    private func find(key: String, version: String) -> ConfirmationState.Write? {
        var ids = [RowID(key: key, part: .register)]
        if let view = store.read(key) {
            switch view.content {
            case .register: break
            case .set(let elements): ids += elements.map { RowID(key: key, part: .element($0)) }
            case .counter: ids.append(RowID(key: key, part: .counter(view.author)))
            }
        }
        // Versions begin with the stamp in sixteen digits, so they compare as their stamps do.
        let parts = version.split(separator: "-", maxSplits: 1)
        guard parts.count == 2, parts[0].utf8.count == 16 else { return nil }
        for id in ids {
            guard let row = store.row(id), row.version.description >= version else { continue }
            // The author's last event on the row is this write or a later one, which holds it.
            guard let dot = row.versions.last(where: { $0.actor.node.short == parts[1] }) else { continue }
            // Of a transaction one row tells: all of them become durable at once.
            return ConfirmationState.Write(
                key: key, version: version, rows: [(id, dot)], isTransaction: row.details.transaction != nil,
                token: pendingWrites.isEmpty ? nil : PersistToken(rawValue: nextToken))
        }
        return nil
    }

    mutating func onConfirmTimer(_ id: CommandID, _ turn: inout Turn) {
        guard let client = confirmations.clients[id] else { return }
        if turn.now >= client.deadline {
            endConfirmation(id, &turn)
            return
        }
        confirmations.beginRound(id) { membership.table[$0]?.state.isActive == true }
        askPeers(for: id, &turn)
        setConfirmTimer(id, &turn)
    }

    private mutating func setConfirmTimer(_ id: CommandID, _ turn: inout Turn) {
        guard let client = confirmations.clients[id] else { return }
        turn.actions.append(.setTimer(.confirm(id), at: min(turn.now + client.wait, client.deadline)))
    }

    /// Asks further peers while fewer than `inFlightMax` questions are open.
    private mutating func askPeers(for id: CommandID, _ turn: inout Turn) {
        guard var client = confirmations.clients[id] else { return }
        if client.queue.isEmpty, client.inFlight.isEmpty {
            let peers = membership.table.activePeers.filter { !client.confirmed.contains($0) }.sorted()
            // Each client begins elsewhere, so that peers that are slow to answer are not always the first.
            let start = peers.isEmpty ? 0 : Int(client.question) % peers.count
            client.queue = Array(peers[start...] + peers[..<start])
        }
        let questions = questions(of: client)
        while client.inFlight.count < ConfirmationState.inFlightMax, !client.queue.isEmpty {
            let peer = client.queue.removeFirst()
            guard let member = membership.table[peer], member.state.isActive else { continue }
            client.inFlight.append(peer)
            statistics.confirmationsAsked += 1
            let packet = Packet(cluster: configuration.cluster, sender: selfID, messages: questions)
            turn.actions.append(.send(packet, to: member.info.address))
        }
        confirmations.clients[id] = client
    }

    /// What to ask for. A row that was overwritten by its author is asked for under its present event as well: the former
    /// one may never reach a peer. Of a transaction this would prove nothing for the other rows.
    private func questions(of client: ConfirmationState.Client) -> [Message] {
        let current = client.write.rows.map { row in
            (row.dot, now: store.row(row.id)?.versions.first { $0.actor == row.dot.actor } ?? row.dot)
        }
        guard let first = current.first(where: { $0.0 == $0.now }) ?? current.last else { return [] }
        var dots = [first.0]
        if first.0 != first.now, !client.write.isTransaction { dots.append(first.now) }
        return dots.map { .confirmRequest(ConfirmRequest(id: client.question, dots: [$0])) }
    }

    mutating func onConfirmed(_ question: UInt32, from peer: NodeID, _ turn: inout Turn) {
        guard let id = confirmations.confirm(question, by: peer) else { return }
        statistics.confirmationsReceived += 1
        guard !answerConfirmed(id, &turn) else { return }
        askPeers(for: id, &turn)
    }

    /// Answers the client when enough nodes hold the write.
    private mutating func answerConfirmed(_ id: CommandID, _ turn: inout Turn) -> Bool {
        guard let client = confirmations.clients[id], holding(client) >= max(client.atLeast, 1) else { return false }
        endConfirmation(id, &turn)
        return true
    }

    private func holding(_ client: ConfirmationState.Client) -> Int {
        let peers = client.confirmed.count { membership.table[$0]?.state.isActive == true }
        let isOwnDurable = client.write.token.map { confirmations.isDurable($0) } ?? true
        return peers + (isOwnDurable ? 1 : 0)
    }

    private mutating func endConfirmation(_ id: CommandID, _ turn: inout Turn) {
        guard let client = confirmations.clients[id] else { return }
        let missing = membership.table.members
            .filter { $0.state.isPresumed && $0.id != selfID && !client.confirmed.contains($0.id) }
            .map(\.info.name).sorted().prefix(ConfirmationState.missingMax)
        let confirmation = Confirmation(
            holding: holding(client), total: presumedCount, missing: Array(missing))
        confirmations.end(id)
        reply(id, .confirmed(confirmation), &turn)
    }

    /// The node has left: clients are told what is known.
    mutating func endConfirmations(_ turn: inout Turn) {
        for id in confirmations.clients.keys.sorted() { endConfirmation(id, &turn) }
    }
}

extension NodeKernel {
    /// A peer asks whether we hold events durably.
    mutating func onConfirmRequest(_ request: ConfirmRequest, from peer: NodeID, _ turn: inout Turn) {
        guard (1...ConfirmationState.dotsMax).contains(request.dots.count) else { return }
        if holds(request.dots), pendingWrites.isEmpty {
            confirm(request.id, to: peer, &turn)
            return
        }
        let awaits = holds(request.dots) ? PersistToken(rawValue: nextToken) : nil
        confirmations.owe(request, to: peer, awaits: awaits, turn.now)
    }

    /// During a reset our store belongs to the past.
    private func holds(_ dots: [Dot]) -> Bool { !reset.isUnderWay && store.holds(dots) }

    private mutating func confirm(_ question: UInt32, to peer: NodeID, _ turn: inout Turn) {
        guard let address = membership.table[peer]?.info.address else { return }
        statistics.confirmationsGiven += 1
        let packet = Packet(cluster: configuration.cluster, sender: selfID, messages: [.confirmed(question)])
        turn.actions.append(.send(packet, to: address))
    }

    /// What is held now becomes durable with `token` at the latest.
    mutating func noteOwedConfirmations(_ token: PersistToken) {
        guard !confirmations.owed.isEmpty, !reset.isUnderWay else { return }
        confirmations.noteHeld(by: token) { store.holds($0) }
    }

    /// Answers the peers, and the clients, that waited for this write.
    mutating func answerOwedConfirmations(_ token: PersistToken, _ turn: inout Turn) {
        confirmations.durableTo = max(confirmations.durableTo, token)
        if !confirmations.owed.isEmpty, !reset.isUnderWay {
            for (question, peer) in confirmations.takeDurable(token, turn.now) { confirm(question, to: peer, &turn) }
            if pendingWrites.isEmpty {
                // Events that came to be known without a record of their own.
                for (question, peer) in confirmations.takeHeld({ store.holds($0) }, turn.now) {
                    confirm(question, to: peer, &turn)
                }
            }
        }
        for id in confirmations.clients.keys.sorted() where confirmations.clients[id]?.write.token == token {
            _ = answerConfirmed(id, &turn)
        }
    }
}

extension MemberState {
    /// Neither left nor forgotten: a node that is failed still counts when a majority is asked for, or the few that are
    /// left of a cluster would be a majority of themselves.
    var isPresumed: Bool { isActive || self == .failed }
}

extension NodeKernel {
    /// Members that are expected to hold the store, this one included.
    var presumedCount: Int { membership.table.activeCount + membership.table.count(of: .failed) }
}
