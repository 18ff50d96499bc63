// SPDX-License-Identifier: Apache-2.0
// Owns what clients ask of the store: reads from memory at once, writes answered when they are durable.

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    mutating func onStoreCommand(_ id: CommandID, _ command: Command, _ turn: inout Turn) {
        switch command {
        case .read(let key):
            if let view = store.read(key) {
                reply(id, .key(view, author: author(of: view)), &turn)
            } else {
                reply(id, .failure(.noSuchKey(key)), &turn)
            }
        case .list(let prefix, let after, let limit):
            let page = store.list(prefix: prefix, after: after, limit: limit)
            reply(id, .keys(page.entries.map { ($0, author(of: $0)) }, next: page.next), &turn)
        case .survey(let items):
            reply(id, .survey(items.map(survey)), &turn)
        case .write(let writes, let options):
            write(id, writes, options, &turn)
        case .confirm(let key, let version, let atLeast, let deadline):
            onConfirmCommand(id, key: key, version: version, atLeast: atLeast, deadline: deadline, &turn)
        case .verify(let deadline):
            onVerify(id, deadline: deadline, &turn)
        case .diagnose:
            reply(id, .diagnosis(diagnosis), &turn)
        case .restore(let restored, let revision):
            onRestore(id, restored, revision: revision, &turn)
        case .dequeue(let numbers):
            onDequeue(id, numbers, &turn)
        case .status, .statistics, .members, .explain, .join, .replaceSeeds, .leave, .forget, .changeTags, .ping,
            .roundTrips, .examine, .sendEvent, .ring, .strict, .strictAge:
            preconditionFailure("\(command) is not about the store")
        }
    }

    /// Keys and values of one read of a survey, about: it is one turn of the kernel.
    private static let surveyBytesMax = 16 << 20

    private func survey(_ item: SurveyItem) -> SurveyResult {
        switch item {
        case .key(let key):
            return .key(store.read(key).map { ($0, author(of: $0)) })
        case .prefix(let prefix, let limit):
            var found: [(view: KeyView, author: AuthorView)] = []
            var bytes = 0
            var after: String?
            repeat {
                let page = store.list(prefix: prefix, after: after, limit: limit - found.count)
                for view in page.entries {
                    bytes += view.estimatedBytes
                    found.append((view, author(of: view)))
                }
                after = page.next
            } while after != nil && found.count < limit && bytes < Self.surveyBytesMax
            return .keys(found, isWhole: after == nil)
        case .members:
            return .members(memberViews)
        }
    }

    /// Carries out all of the writes or none; the answer waits until their rows are durable.
    private mutating func write(
        _ id: CommandID, _ writes: [StoreWrite], _ options: WriteOptions, _ turn: inout Turn
    ) {
        guard isReady(id, &turn) else { return }
        guard let key = writes.first?.key else { return reply(id, .failure(.invalid("nothing to write")), &turn) }
        if let sentence = Self.defect(of: options) { return reply(id, .failure(.invalid(sentence)), &turn) }
        let fingerprint = options.requestID == nil ? 0 : Self.fingerprint(of: writes, options)
        if let request = options.requestID, answerRepeated(id, request, fingerprint: fingerprint, &turn) { return }
        if let failure = refusal(ofOrdinaryWrites: writes) { return reply(id, .failure(failure), &turn) }
        if let failure = refusalOfWrites { return reply(id, .failure(failure), &turn) }
        let mutation: Mutation
        do {
            mutation = try store.write(writes, options: options, wall: turn.clock.wall)
        } catch {
            reply(id, .failure(Self.failure(error, of: writes)), &turn)
            return
        }
        guard let version = mutation.version?.description, !mutation.rows.isEmpty else {
            // Only a remove of what is not there does nothing.
            reply(id, .failure(.noSuchElement(key: key)), &turn)
            return
        }
        statistics.localWrites += 1
        let report = WriteReport(
            key: key, version: version, nodesHolding: 1, nodesTotal: presumedCount)
        let record = options.requestID.map {
            RequestRecord(id: $0, fingerprint: fingerprint, key: key, version: version, at: turn.clock.wall)
        }
        var beside: [StoreRecord] = record.map { [.request($0)] } ?? []
        if !options.dequeued.isEmpty {
            beside.append(.dequeued(options.dequeued))
            // As with the rows: what is not durable yet counts here.
            reset.queuedCount = max(0, reset.queuedCount - Set(options.dequeued).count)
        }
        let token = persistRows(
            mutation.rows, changes: mutation.changes, reply: (id, report), beside: beside, &turn)
        if let record { requests.insert(record, awaits: token) }
        confirmations.remember(mutation.rows, key: key, version: version, token: token)
        scheduleExpiry(&turn)
    }

    /// Why this node takes no writes at present; nil when it does.
    private var refusalOfWrites: CommandFailure? {
        if storage == .full { return .storageFull }
        if reset.isUnderWay { return .resetting }
        return clocks.outlierOffset.map { .clockOutlier(offsetMilliseconds: $0) }
    }

    /// What is wrong with the options, beside what the store judges.
    private static func defect(of options: WriteOptions) -> String? {
        if let request = options.requestID, request.isEmpty || request.utf8.count > Bounds.requestIDBytesMax {
            return "the request id must have 1 to \(Bounds.requestIDBytesMax) bytes"
        }
        if options.user.utf8.count > Bounds.userBytesMax {
            return "the user's name has more than \(Bounds.userBytesMax) bytes"
        }
        if options.dequeued.count > WriteOptions.dequeuedMax { return "the request decides about too many writes" }
        return nil
    }

    func author(of view: KeyView) -> AuthorView {
        let id = view.author.node
        return AuthorView(id: id, name: membership.table[id]?.info.name ?? "")
    }

    /// Names the write that was refused; the first one when the request failed as a whole.
    private static func failure(_ failure: StoreFailure, of writes: [StoreWrite]) -> CommandFailure {
        var index = 0
        if case .ofWrite(let at, _, _) = failure { index = at }
        guard writes.indices.contains(index) else { return .invalid("nothing to write") }
        return Self.failure(failure.reason, key: writes[index].key, requested: type(of: writes[index]))
    }

    /// The type of key that the write is for; nil when any will do.
    private static func type(of write: StoreWrite) -> KeyType? {
        switch write {
        case .put: .register
        case .add, .remove: .set
        case .increment: .counter
        case .delete: nil
        }
    }

    private static func failure(_ failure: StoreFailure, key: String, requested: KeyType?) -> CommandFailure {
        switch failure {
        case .invalidKey(let defect):
            .invalid("the key is not valid: \(defect.rawValue)")
        case .valueTooLarge(let bytes):
            .invalid("the value has \(bytes) bytes; at most \(Bounds.valueBytesMax) are allowed")
        case .elementTooLarge(let bytes):
            .invalid("the element has \(bytes) bytes; at most \(Bounds.elementBytesMax) are allowed")
        case .typeConflict(let existing):
            .typeConflict(key: key, existing: existing, requested: requested ?? existing)
        case .notFound: .noSuchKey(key)
        case .counterOverflow: .counterOverflow(key: key)
        case .zeroIncrement: .invalid("a counter is changed by a number other than 0")
        case .tooManyActors:
            .invalid("too many nodes have written this entry; write it on one that already has")
        case .storeFull: .storeFull
        case .conditionFailed(let current): .conditionFailed(key: key, current: current)
        case .reasonTooLong: .invalid("the reason has more than \(Bounds.reasonBytesMax) bytes")
        case .invalidTTL: .invalid("the time to live is not possible, or not for this kind of write")
        case .transactionTooLarge: .invalid("the request writes too much at once")
        case .ofWrite(_, let key, let reason): Self.failure(reason, key: key, requested: requested)
        }
    }
}
