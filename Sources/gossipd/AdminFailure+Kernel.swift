// SPDX-License-Identifier: Apache-2.0
// Owns the sentence and the code for each way in which the kernel turns a command down.

import AdminModel
import ClusterTypes
import NodeKernel
import StoreCore

extension AdminFailure {
    /// A reply of another kind than the command asks for: a defect of this daemon.
    static let unexpectedReply = AdminFailure(
        .internalError, "the node gave an answer of the wrong kind: report this with the daemon's journal")

    /// A living member cannot be forgotten; `gone` are the ids of failed and left ones of the same name, which can.
    static func memberIsActive(_ name: String, gone: [String]) -> AdminFailure {
        guard !gone.isEmpty else { return AdminFailure(.memberIsActive(name)) }
        let ids = gone.prefix(4).joined(separator: ", ")
        return AdminFailure(
            .conflict, "member \(name.quoted) is alive; to forget one of that name that is gone, give its id: \(ids)")
    }

    init(_ failure: CommandFailure) {
        switch failure {
        case .noSuchMember(let text):
            self.init(.notFound, "no member is named \(text.quoted) or has such an id: see gossipctl members")
        case .ambiguousMember(let text, let candidates):
            let shown = candidates.prefix(4).map(\.description).joined(separator: ", ")
            self.init(.ambiguous, "\(text.quoted) fits \(candidates.count) members: give the id of one of \(shown)")
        case .memberIsActive(let text):
            self.init(
                .conflict,
                "member \(text.quoted) is not failed or left: stop its daemon first, or wait until it is failed")
        case .memberIsSelf(let text):
            self.init(
                .conflict, "\(text.quoted) is the node that you ask: run gossipctl leave to take it out of the cluster")
        case .invalidTags(let sentence), .invalid(let sentence):
            self.init(.badRequest, sentence)
        case .pingTimedOut(let name, let after):
            self.init(.timedOut, "no answer from \(name) within \(after): see gossipctl member explain \(name)")
        case .noSuchKey(let key):
            self.init(.notFound, "there is no key \(key.quoted): see gossipctl kv list")
        case .strictKey(let key):
            self.init(.strictKey, "key \(key.quoted) is strict: only the leader of its group changes it")
        case .noSuchElement(let key):
            self.init(.notFound, "the element is not in set \(key.quoted): see gossipctl set list \(key)")
        case .typeConflict(let key, let existing, let requested):
            self.init(
                .conflict,
                "key \(key.quoted) is a \(existing.word), not a \(requested.word): delete it first or use another key")
        case .counterOverflow(let key):
            self.init(.badRequest, "counter \(key.quoted) would leave the range of a signed 64-bit number")
        case .storeFull:
            self.init(.unavailable, "the store holds as many entries as it may: delete some keys")
        case .conditionFailed(let key, let current):
            let now = current.map { "it is at version \($0)" } ?? "it does not exist"
            self.init(
                .conditionFailed,
                "key \(key.quoted) is not as the condition says: \(now); read it with gossipctl kv get, then decide anew"
            )
        case .requestIDReused(let id):
            self.init(.requestIDReused, "request id \(id.quoted) was used for another request: choose a new one")
        case .storageFull:
            self.init(
                .storageFull,
                "the disk under the data directory is full: make room; a write that was under way waits and becomes "
                    + "durable then, so look before you repeat it (a request id makes repeating safe)")
        case .clockOutlier(let offset):
            self.init(
                .clockOutlier,
                "this host's clock is \(Interval.milliseconds(Int(clamping: offset.magnitude))) \(offset > 0 ? "ahead of" : "behind") most others: set it right, then try again"
            )
        case .resetting:
            self.init(.resetting, "this node was away for long and is fetching the others' state: try again soon")
        case .storeNotEmpty(let keys):
            self.init(.conflict, "the store holds \(keys) keys: restore into a new node with an empty data directory")
        case .tooManyEvents:
            self.init(
                .busy, "this node has sent too many events within two minutes: wait, or put what changes into a key")
        case .notReady:
            self.init(.unavailable, "the node is starting or leaving and takes no writes now")
        }
    }
}
