// SPDX-License-Identifier: Apache-2.0
// Owns the short way of plain puts and gets of strict keys that come in bunches: one input of the kernel for all of them.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import StrictCore
import StrictGroup
import Synchronization
import Transport

/// Takes puts of strict keys without a condition, and linearizable gets, to the kernel together, and leaves everything else to the
/// plain way.
struct StrictKeyCalls: KeyCallBunches {
    private let strict: StrictAccess
    private let puts: CallSink
    private let gets: CallSink
    private let room: GetRoom

    /// Gets of one stream that may be under way: each may find 512 KiB.
    static let getsMax = 256

    init(_ strict: StrictAccess, answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void) {
        let room = GetRoom()
        self.strict = strict
        self.room = room
        puts = CallSink { replies in answered(replies.map { ($0.tag, Self.result(of: $0.reply, changes: true)) }) }
        gets = CallSink { replies in
            room.giveBack(replies.count)
            answered(replies.map { ($0.tag, Self.result(of: $0.reply, changes: false)) })
        }
    }

    /// Calls of one kind that share their patience.
    private struct Bunch {
        var calls: [(tag: UInt64, call: StrictCall)] = []
        var within: Duration?

        /// False: it has another patience than the others.
        mutating func take(_ id: UInt64, _ call: StrictCall, _ timeout: Duration) -> Bool {
            guard within ?? timeout == timeout else { return false }
            within = timeout
            calls.append((id, call))
            return true
        }
    }

    func begin(_ calls: [KeyCall]) -> [KeyCall] {
        var others: [KeyCall] = []
        var (written, read) = (Bunch(), Bunch())
        for call in calls {
            let isTaken =
                if let (operation, timeout) = plainPut(call) {
                    written.take(call.id, .change(operation), timeout)
                } else if let (key, timeout) = plainGet(call), room.take(max: Self.getsMax) {
                    read.take(call.id, .read(.entry(key)), timeout) || room.refuse()
                } else {
                    false
                }
            if !isTaken { others.append(call) }
        }
        if let within = written.within { strict.begin(written.calls, Interval(within), puts) }
        if let within = read.within { strict.begin(read.calls, Interval(within), gets) }
        return others
    }

    /// Nil: it takes the other way, which also says what is wrong with it.
    private func plainPut(_ call: KeyCall) -> (StrictOperation, Duration)? {
        guard case .write(let write, let options) = call.action, options.condition == .always, options.message.isEmpty,
            options.requestID == nil, options.ttlMilliseconds == nil, strict.covers(write.key.description),
            (try? KeyWrite.checkWritable(CollectionOfOne(write))) != nil,
            let name = StrictKey(write.key.description)
        else { return nil }
        switch write {
        case .put(_, let value): return (.put(name, value: value, lease: 0), options.timeout)
        // Whether there was such a key says how it is answered.
        case .delete, .add, .remove, .increment: return nil
        }
    }

    private func plainGet(_ call: KeyCall) -> (StrictKey, Duration)? {
        guard case .get(let key, let options) = call.action, options.consistency != .local,
            strict.covers(key.description), let name = StrictKey(key.description)
        else { return nil }
        return (name, options.timeout)
    }

    static func result(of reply: Reply, changes: Bool) -> KeyCallResult {
        switch reply {
        case .strict(.answer(.put(_, let modified))): return .committed(version: modified)
        case .strictEntry(let key, let entry, let writtenAt): return found(key, entry, writtenAt)
        case .strict(.answer(.refused(let refusal))): return .failed(AdminFailure(refusal))
        case .strict(.failed(let failure)):
            return .failed(AdminFailure(failure, changes: changes, hasCopy: !changes))
        case .failure(let failure):
            var refusal = AdminFailure(failure)
            if changes { refusal.outcome = .notDone }
            return .failed(refusal)
        default: return .failed(.unexpectedReply)
        }
    }

    private static func found(_ name: StrictKey, _ entry: StrictEntry?, _ writtenAt: WallTime?) -> KeyCallResult {
        guard let key = try? ConfigurationKey(name.text) else { return .failed(.unexpectedReply) }
        guard let entry else { return .failed(StrictAccess.notFound(key)) }
        return .found(KernelNode.document(key, entry, writtenAt: writtenAt.map { Timestamp($0) }))
    }
}

/// How many gets are under way.
private final class GetRoom: Sendable {
    private let count = Atomic(0)

    func take(max: Int) -> Bool {
        guard count.add(1, ordering: .relaxed).newValue > max else { return true }
        giveBack(1)
        return false
    }

    /// What had room goes another way.
    func refuse() -> Bool {
        giveBack(1)
        return false
    }

    func giveBack(_ number: Int) { count.subtract(number, ordering: .relaxed) }
}

extension KernelNode {
    func bunches(
        answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    ) -> any KeyCallBunches {
        strict.isOn ? StrictKeyCalls(strict, answered: answered) : NoKeyCallBunches()
    }
}
