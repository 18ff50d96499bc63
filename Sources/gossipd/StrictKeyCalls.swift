// SPDX-License-Identifier: Apache-2.0
// Owns the short way of plain writes of strict keys that come in bunches: one input of the kernel for all of them.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import StrictCore
import StrictGroup
import Transport

/// Takes puts of strict keys without a condition to the kernel together, and leaves everything else to the plain way.
struct StrictKeyCalls: KeyCallBunches {
    private let strict: StrictAccess
    private let answers: CallSink

    init(_ strict: StrictAccess, answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void) {
        self.strict = strict
        answers = CallSink { replies in
            answered(replies.map { ($0.tag, Self.result(of: $0.reply)) })
        }
    }

    func begin(_ calls: [KeyCall]) -> [KeyCall] {
        var others: [KeyCall] = []
        var bunch: [(tag: UInt64, call: StrictCall)] = []
        bunch.reserveCapacity(calls.count)
        var within: Duration?
        for call in calls {
            guard let (operation, timeout) = plainWrite(call), within ?? timeout == timeout else {
                others.append(call)
                continue
            }
            within = timeout
            bunch.append((call.id, .change(operation)))
        }
        if let within, !bunch.isEmpty { strict.begin(bunch, Interval(within), answers) }
        return others
    }

    /// Nil: it takes the other way, which also says what is wrong with it.
    private func plainWrite(_ call: KeyCall) -> (StrictOperation, Duration)? {
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

    static func result(of reply: Reply) -> KeyCallResult {
        switch reply {
        case .strict(.answer(.put(_, let modified))): return .committed(version: modified)
        case .strict(.answer(.refused(let refusal))): return .failed(AdminFailure(refusal))
        case .strict(.failed(let failure)): return .failed(AdminFailure(failure, changes: true, hasCopy: false))
        case .failure(let failure):
            var refusal = AdminFailure(failure)
            refusal.outcome = .notDone
            return .failed(refusal)
        default: return .failed(.unexpectedReply)
        }
    }
}

extension KernelNode {
    func bunches(
        answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    ) -> any KeyCallBunches {
        strict.isOn ? StrictKeyCalls(strict, answered: answered) : NoKeyCallBunches()
    }
}
