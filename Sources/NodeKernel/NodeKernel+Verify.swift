// SPDX-License-Identifier: Apache-2.0
// Owns `kv verify`: the stores of all active members compared with this one, and the ranges in which they differ.

import ClusterTypes
import SWIMCore
import StoreCore

/// Comparisons under way.
struct VerificationState: Sendable {
    /// One client's request.
    struct Request: Sendable {
        let id: CommandID
        let endsAt: Instant
        /// Not yet asked, in the order of their ids.
        var waiting: [NodeID]
        /// To be asked once more, from then on: a first comparison has found a difference, which may be a write under way.
        var again: [(peer: NodeID, at: Instant, before: [DifferingKeys])] = []
        var running = 0
        var results: [Verification.Peer] = []

        var isOver: Bool { waiting.isEmpty && again.isEmpty && running == 0 }
    }

    /// In the order of arrival; at most `requestsMax`.
    var requests: [Request] = []

    static let requestsMax = 4
    /// Streams of one request at once.
    static let runningMax = 8
}

/// One stream on which the stores are compared.
struct ComparisonStream: Sendable {
    let request: CommandID
    let peer: NodeID
    let floorMark: UInt64
    /// What the first comparison found; only what differs twice is reported. Nil in the first one.
    var before: [DifferingKeys]?
    var reconciliation = RangeReconciliation(purpose: .compare)
}

extension NodeKernel {
    /// How long a difference has to last before it is one: writes under way are none.
    static let verificationPatience = Interval.milliseconds(300)

    private static let verificationConnectTimeout = Interval.seconds(2)

    mutating func onVerify(_ id: CommandID, deadline: Interval, _ turn: inout Turn) {
        guard isReady(id, &turn) else { return }
        guard !reset.isUnderWay else { return reply(id, .failure(.resetting), &turn) }
        guard verification.requests.count < VerificationState.requestsMax else {
            return reply(id, .failure(.invalid("other comparisons are under way; try again when they are done")), &turn)
        }
        let me = selfID
        let peers = membership.table.members.filter { $0.state.isActive && $0.id != me }.map(\.id).sorted()
        let end = turn.now + deadline
        verification.requests.append(VerificationState.Request(id: id, endsAt: end, waiting: peers))
        turn.actions.append(.setTimer(.confirm(id), at: end))
        continueVerification(id, &turn)
    }

    /// The deadline, or the time of a second look; false when the client waits for something else.
    mutating func onVerificationTimer(_ id: CommandID, _ turn: inout Turn) -> Bool {
        guard let request = verification.requests.first(where: { $0.id == id }) else { return false }
        if turn.now >= request.endsAt {
            answerVerification(id, &turn)
        } else {
            continueVerification(id, &turn)
        }
        return true
    }

    /// Asks as many peers as may be asked at once; answers the client when none is left.
    private mutating func continueVerification(_ id: CommandID, _ turn: inout Turn) {
        guard let index = verification.requests.firstIndex(where: { $0.id == id }) else { return }
        var request = verification.requests[index]
        while request.running < VerificationState.runningMax {
            let comparison: ComparisonStream
            if let first = request.again.first, first.at <= turn.now {
                comparison = ComparisonStream(
                    request: id, peer: first.peer, floorMark: store.floor.mark, before: first.before)
                request.again.removeFirst()
            } else if let peer = request.waiting.first {
                comparison = ComparisonStream(request: id, peer: peer, floorMark: store.floor.mark)
                request.waiting.removeFirst()
            } else {
                break
            }
            if openComparison(comparison, &turn) {
                request.running += 1
            } else {
                request.results.append(result(of: comparison.peer, .unknown("it could not be connected to")))
            }
        }
        verification.requests[index] = request
        if request.isOver {
            answerVerification(id, &turn)
        } else if let next = request.again.first, request.running < VerificationState.runningMax {
            turn.actions.append(.setTimer(.confirm(id), at: max(next.at, turn.now)))
        }
    }

    private mutating func openComparison(_ comparison: ComparisonStream, _ turn: inout Turn) -> Bool {
        guard let address = membership.table[comparison.peer]?.info.address else { return false }
        let timeout = Self.verificationConnectTimeout
        return open(.comparison(comparison), to: address, peer: comparison.peer, timeout: timeout, &turn) != nil
    }

    mutating func beginComparison(on id: StreamID, _ turn: inout Turn) {
        guard case .comparison(var comparison)? = streams[id]?.role else { return }
        let first = comparison.reconciliation.begin(store)
        streams[id]?.role = .comparison(comparison)
        write(markedByFloor(.ranges(first)), to: id, &turn)
    }

    mutating func onComparedRanges(
        _ message: RangeMessage, _ former: ComparisonStream, on id: StreamID, _ turn: inout Turn
    ) {
        guard former.floorMark == store.floor.mark, !reset.isUnderWay else {
            return endComparison(on: id, .unknown("the collection floor has changed meanwhile"), &turn)
        }
        var comparison = former
        let step: RangeStep
        do {
            step = try comparison.reconciliation.answer(message, store: store, limit: Self.rangeLimit)
        } catch {
            return reject(id, &turn)
        }
        streams[id]?.role = .comparison(comparison)
        if !step.isFinished {
            if let reply = step.reply { write([.ranges(reply)], to: id, &turn) }
            return
        }
        let found = comparison.reconciliation.differing
        if found.isEmpty { return endComparison(on: id, .equal, &turn) }
        guard let before = comparison.before else {
            close(id, &turn)
            update(comparison.request) {
                $0.running -= 1
                $0.again.append((comparison.peer, turn.now + Self.verificationPatience, found))
            }
            continueVerification(comparison.request, &turn)
            return
        }
        let lasting = found.filter { range in before.contains { Self.overlap($0, range) } }
        if lasting.isEmpty { return endComparison(on: id, .unknown("its store keeps changing"), &turn) }
        let ranges = lasting.prefix(RangeReconciliation.differingMax)
        endComparison(on: id, .different(ranges.map { Verification.KeyRange(first: $0.first, end: $0.end) }), &turn)
    }

    private static func overlap(_ a: DifferingKeys, _ b: DifferingKeys) -> Bool {
        // Keys compare as bytes, as row ids do.
        func isBefore(_ key: String, _ end: String?) -> Bool {
            end.map { RowID(key: key, part: .register) < RowID(key: $0, part: .register) } ?? true
        }
        return isBefore(b.first, a.end) && isBefore(a.first, b.end)
    }

    /// The comparison on this stream has come to its result.
    mutating func endComparison(on id: StreamID, _ result: Verification.Peer.Result, _ turn: inout Turn) {
        guard case .comparison(let comparison)? = streams[id]?.role else { return }
        close(id, &turn)
        conclude(comparison, result, &turn)
    }

    /// Its stream has ended without one.
    mutating func comparisonFailed(_ comparison: ComparisonStream, _ failure: JoinFailure, _ turn: inout Turn) {
        let reason =
            switch failure {
            case .refused, .unreachable, .unresolved: "it could not be connected to"
            case .timedOut: "it did not answer"
            case .brokenOff: "it broke the comparison off"
            case .noCommonKey: "it does not take our key"
            case .otherCluster: "it belongs to another cluster"
            }
        conclude(comparison, .unknown(reason), &turn)
    }

    private mutating func conclude(
        _ comparison: ComparisonStream, _ result: Verification.Peer.Result, _ turn: inout Turn
    ) {
        let entry = self.result(of: comparison.peer, result)
        update(comparison.request) {
            $0.running -= 1
            $0.results.append(entry)
        }
        continueVerification(comparison.request, &turn)
    }

    private mutating func update(_ id: CommandID, _ body: (inout VerificationState.Request) -> Void) {
        guard let index = verification.requests.firstIndex(where: { $0.id == id }) else { return }
        body(&verification.requests[index])
    }

    private func result(of peer: NodeID, _ result: Verification.Peer.Result) -> Verification.Peer {
        Verification.Peer(id: peer, name: membership.table[peer]?.info.name ?? "", result: result)
    }

    /// Answers the client; who has not said anything by now is not waited for.
    private mutating func answerVerification(_ id: CommandID, _ turn: inout Turn) {
        guard let index = verification.requests.firstIndex(where: { $0.id == id }) else { return }
        let request = verification.requests.remove(at: index)
        var results = request.results
        for stream in streams.keys.sorted() {
            guard case .comparison(let comparison)? = streams[stream]?.role, comparison.request == id else { continue }
            close(stream, &turn)
            results.append(result(of: comparison.peer, .unknown("it did not answer in time")))
        }
        for (peer, _, _) in request.again {
            results.append(result(of: peer, .unknown("it differed, and there was no time for a second look")))
        }
        for peer in request.waiting {
            results.append(result(of: peer, .unknown("there was no time to ask it")))
        }
        results.sort { $0.id < $1.id }
        reply(id, .verified(Verification(root: store.root, rows: store.rowCount, peers: results)), &turn)
    }

    /// The node has left: nobody is compared with any more.
    mutating func abandonVerifications(_ turn: inout Turn) {
        for request in verification.requests { reply(request.id, .failure(.notReady), &turn) }
        verification.requests.removeAll()
    }
}
