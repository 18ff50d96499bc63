// SPDX-License-Identifier: Apache-2.0
// Owns what `doctor` learns of the store.

import ClusterTypes
import SWIMCore
import StoreCore
import StrictGroup

/// What was met and may still matter to an operator; bounded.
struct StoreFindings: Sendable {
    static let quarantinedMax = 64
    /// Keys that are remembered; those whose conflict is over are not told.
    static let conflictsMax = 256
    static let conflictsToldMax = 16

    /// Newest last, one for each author.
    private(set) var quarantined: [(author: NodeID, key: String, ahead: Interval)] = []
    /// Newest last, each key once.
    private(set) var conflicts: [String] = []

    mutating func noteQuarantine(author: NodeID, key: String, ahead: Interval) {
        quarantined.removeAll { $0.author == author }
        if quarantined.count >= Self.quarantinedMax { quarantined.removeFirst() }
        quarantined.append((author, key, ahead))
    }

    mutating func noteConflict(_ key: String) {
        conflicts.removeAll { ConfigurationKey.equal($0, key) }
        if conflicts.count >= Self.conflictsMax { conflicts.removeFirst() }
        conflicts.append(key)
    }
}

extension NodeKernel {
    /// Keys told, and rows looked at for them below each strict prefix.
    private static let ordinaryKeysMax = 16
    private static let ordinaryLooksMax = 10_000

    private var ordinaryStrictKeys: [String] {
        var keys: [String] = []
        for prefix in configuration.strict.prefixes where keys.count < Self.ordinaryKeysMax {
            keys += store.ordinaryKeys(
                below: prefix, looks: Self.ordinaryLooksMax, max: Self.ordinaryKeysMax - keys.count)
        }
        return keys
    }

    var diagnosis: StoreDiagnosis {
        var diagnosis = StoreDiagnosis()
        diagnosis.storage = storage
        diagnosis.writesWaiting = pendingWrites.count
        diagnosis.quarantined = findings.quarantined.map {
            let author = AuthorView(id: $0.author, name: membership.table[$0.author]?.info.name ?? "")
            return StoreDiagnosis.Quarantine(key: $0.key, author: author, ahead: $0.ahead)
        }
        diagnosis.clockOffsetMilliseconds = clocks.offset
        diagnosis.isClockOutlier = clocks.outlierOffset != nil
        diagnosis.floor = store.floor
        diagnosis.collectionWaitsFor = collectionWaitsFor
        diagnosis.deadRows = store.deadCount
        diagnosis.isResetting = reset.isUnderWay
        diagnosis.queuedWrites = reset.queuedCount
        diagnosis.catchUp = reset.progress ?? repair.catchUp
        let conflicts = findings.conflicts.filter { store.read($0)?.aside.isEmpty == false }
        diagnosis.typeConflicts = conflicts.suffix(StoreFindings.conflictsToldMax)
        diagnosis.ordinaryStrictKeys = ordinaryStrictKeys
        diagnosis.revision = revision
        diagnosis.actors = store.context.entries(cloudMax: Self.contextCloudMax).count
        return diagnosis
    }
}
