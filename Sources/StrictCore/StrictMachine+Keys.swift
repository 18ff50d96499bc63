// SPDX-License-Identifier: Apache-2.0
// Owns writes: single ones and transactions, all of whose refusals come before their first change.

import ClusterTypes
import RaftCore

extension StrictMachine {
    /// - Returns: The key's version.
    mutating func put(
        _ key: StrictKey, _ value: [UInt8], _ lease: LeaseID, over old: StrictEntry?, _ outcome: inout StrictOutcome
    ) -> UInt64 {
        let new = StrictEntry(
            value: value, created: old?.created ?? revision, modified: revision,
            version: (old?.version ?? 0) + 1, lease: lease)
        keys.set(key, new)
        rebind(key, from: old?.lease ?? 0, to: lease)
        stateBytes += Self.bytes(of: key, new) - (old.map { Self.bytes(of: key, $0) } ?? 0)
        outcome.changes.append(StrictChange(index: revision, key: key, old: old, new: new))
        return new.version
    }

    /// - Returns: Whether it was there.
    mutating func delete(_ key: StrictKey, _ outcome: inout StrictOutcome) -> Bool {
        guard let old = keys.remove(key) else { return false }
        rebind(key, from: old.lease, to: 0)
        stateBytes -= Self.bytes(of: key, old)
        outcome.changes.append(StrictChange(index: revision, key: key, old: old, new: nil))
        return true
    }

    static func bytes(of key: StrictKey, _ entry: StrictEntry) -> Int {
        key.bytes + entry.value.count + StrictBounds.entryOverheadBytes
    }

    private mutating func rebind(_ key: StrictKey, from old: LeaseID, to new: LeaseID) {
        guard old != new else { return }
        if old != 0 {
            keysByLease.remove(LeaseBond(lease: old, key: key))
            leases.modify(old) { $0.keys -= 1 }
        }
        if new != 0 {
            keysByLease.set(LeaseBond(lease: new, key: key), Nothing())
            leases.modify(new) { $0.keys += 1 }
        }
    }

    mutating func run(_ transaction: StrictTransaction, _ outcome: inout StrictOutcome) -> StrictAnswer {
        if let defect = transaction.defect { return .refused(defect) }
        let succeeded = transaction.compares.allSatisfy { holds($0) }
        let steps = succeeded ? transaction.then : transaction.otherwise
        if let refusal = refusal(of: steps) { return .refused(refusal) }
        var results: [StrictResult] = []
        results.reserveCapacity(steps.count)
        for step in steps {
            switch step {
            case .put(let key, let value, let lease):
                results.append(.put(version: put(key, value, lease, over: keys[key], &outcome)))
            case .delete(let key): results.append(.deleted(delete(key, &outcome)))
            case .get(let key): results.append(.got(keys[key]))
            }
        }
        return .transaction(succeeded: succeeded, results: results)
    }

    private func holds(_ compare: StrictCompare) -> Bool {
        switch compare {
        case .exists(let key, let isThere): (keys[key] != nil) == isThere
        case .version(let key, let version): (keys[key]?.version ?? 0) == version
        case .modified(let key, let index): (keys[key]?.modified ?? 0) == index
        case .value(let key, let value): keys[key]?.value == value
        case .lease(let key, let lease): (keys[key]?.lease ?? 0) == lease
        case .holds(let lock, let token): locks[lock]?.holder.token == token
        }
    }

    /// As `refusal(of:)`, for what most entries are.
    func refusal(
        ofPut key: StrictKey, _ value: [UInt8], _ lease: LeaseID, over old: StrictEntry?
    ) -> StrictRefusal? {
        if value.count > Bounds.valueBytesMax { return .valueTooLarge }
        if lease != 0 {
            guard let state = leases[lease] else { return .noLease }
            if old?.lease != lease, Int(state.keys) + 1 > StrictBounds.keysPerLeaseMax { return .tooManyKeysOfLease }
        }
        let grown =
            key.bytes + value.count + StrictBounds.entryOverheadBytes - (old.map { Self.bytes(of: key, $0) } ?? 0)
        if grown > 0, stateBytes + grown > StrictBounds.stateBytesMax { return .stateFull }
        return old == nil && keys.count >= StrictBounds.keysMax ? .tooManyKeys : nil
    }

    /// Why the steps cannot all be done; nil: they can. Each key is written at most once in them.
    func refusal(of steps: [StrictStep]) -> StrictRefusal? {
        var bytes = stateBytes
        var count = keys.count
        var answerBytes = 16
        var bound: [LeaseID: Int] = [:]
        // Sizes of values that earlier steps wrote: what a later get gives.
        var written: [StrictKey: Int] = [:]
        for step in steps {
            let old = keys[step.key]
            switch step {
            case .put(let key, let value, let lease):
                if value.count > Bounds.valueBytesMax { return .valueTooLarge }
                bytes += key.bytes + value.count + StrictBounds.entryOverheadBytes
                if old == nil { count += 1 }
                answerBytes += 16
                if lease != 0 {
                    guard let state = leases[lease] else { return .noLease }
                    if old?.lease != lease { bound[lease, default: Int(state.keys)] += 1 }
                    if bound[lease, default: 0] > StrictBounds.keysPerLeaseMax { return .tooManyKeysOfLease }
                }
                bytes -= old.map { Self.bytes(of: key, $0) } ?? 0
                if steps.count > 1 { written[key] = value.count }
            case .delete(let key):
                if let old {
                    bytes -= Self.bytes(of: key, old)
                    count -= 1
                }
                answerBytes += 2
                if steps.count > 1 { written[key] = 0 }
            case .get(let key):
                answerBytes += StrictEntry.overheadBytesMax + 2 + (written[key] ?? old?.value.count ?? 0)
            }
        }
        if bytes > StrictBounds.stateBytesMax, bytes > stateBytes { return .stateFull }
        if count > StrictBounds.keysMax, count > keys.count { return .tooManyKeys }
        return answerBytes > StrictBounds.answerBytesMax ? .answerTooLarge : nil
    }
}
