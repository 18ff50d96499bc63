// SPDX-License-Identifier: Apache-2.0
// Owns the rules that details from outside must keep, and the order that decides between two under one version.

import ClusterTypes

extension EventDetails {
    /// Decides between details of one event: only a defective peer makes two, but all nodes must still agree.
    static func precedes(_ a: EventDetails, _ b: EventDetails) -> Bool {
        if a.expiresAt != b.expiresAt { return a.expiresAt < b.expiresAt }
        let left = (a.transaction?.first ?? 0, a.transaction?.count ?? 0)
        let right = (b.transaction?.first ?? 0, b.transaction?.count ?? 0)
        if left != right { return left < right }
        if a.index != b.index { return a.index < b.index }
        let user = ConfigurationKey.order(a.user, b.user)
        return user != 0 ? user < 0 : ConfigurationKey.precedes(a.reason, b.reason)
    }

    /// No less than what they take on the wire.
    var estimatedBytes: Int { self == .none ? 0 : 40 + user.utf8.count + reason.utf8.count }
}

extension EventDetails.Transaction {
    /// True for two events or more, among them `counter`.
    func covers(_ counter: UInt64) -> Bool {
        guard first > 0, first <= Dot.counterMax, count > 1, Int(count) <= Bounds.transactionWritesMax else {
            return false
        }
        return counter >= first && counter - first < UInt64(count)
    }
}

extension Row {
    /// True when the details may stand with the rest of the row. Only a value can expire, and a transaction names events
    /// of the author, of which the last one on this row is among the versions.
    var hasSoundDetails: Bool {
        if details.user.utf8.count > Bounds.userBytesMax || details.reason.utf8.count > Bounds.reasonBytesMax {
            return false
        }
        if details.expiresAt > 0 {
            guard case .register(.some) = content else { return false }
        }
        if details.index > Dot.counterMax || details.index > 0 && !author.isStrictFeed { return false }
        return details.transaction?.covers(lastEvent(of: author)) ?? true
    }
}

extension StableHasher {
    mutating func absorb(_ details: EventDetails) {
        absorb(counted: details.user.utf8)
        absorb(counted: details.reason.utf8)
        absorb(details.expiresAt)
        absorb(details.transaction?.first ?? 0)
        absorb(details.transaction?.count ?? 0)
        // What is absent adds nothing: rows without it keep the hashes that they had.
        if details.index > 0 { absorb(details.index) }
    }
}
