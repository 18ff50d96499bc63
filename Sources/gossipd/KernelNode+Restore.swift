// SPDX-License-Identifier: Apache-2.0
// Owns taking over a backup: the store's rows as they are, strict keys through the log of the group.

import AdminModel
import AdminServer
import BackupFormat
import ClusterTypes
import NodeKernel
import RaftCore
import StoreCore
import StrictCore
import StrictGroup
import Transport

extension KernelNode {
    /// The largest backup that a restore takes into memory.
    private static let restoreBytesMax = 4 << 30

    func restore(
        _ bytes: PullStream<[UInt8]>, strict mode: StrictRestore
    ) async throws(AdminFailure) -> RestoreResult {
        var backup = BackupContent(configuration: storeConfiguration, wall: SystemClock.now().wall)
        var total = 0
        while let piece = try await bytes.next() {
            total += piece.count
            guard total <= Self.restoreBytesMax else {
                throw AdminFailure(.tooLarge, "the backup is larger than \(Self.restoreBytesMax >> 30) GiB")
            }
            try backup.read(piece)
        }
        let revision = try backup.finish()
        let strictPart = backup.strict
        if mode != .skip { try await checkStrict(strictPart) }
        if mode != .only {
            guard let whole = backup.takeStore() else { throw .unexpectedReply }
            guard case .done = try await ask(.restore(whole, revision: revision)) else { throw .unexpectedReply }
        }
        var counts: (restored: Int, kept: Int)?
        if mode != .skip, strict.isOn, !strictPart.isEmpty {
            // First: nothing that is written here gets a version that was given before.
            try await raiseVersions(strictPart)
            if !strictPart.keys.isEmpty { counts = try await writeStrict(strictPart.keys, isOnly: mode == .only) }
        }
        let store = try await status().store
        var result = RestoreResult(keys: store.keys, revision: store.revision)
        (result.strictRestored, result.strictKept) = (counts?.restored, counts?.kept)
        return result
    }

    /// Before anything is changed: the log must be there to take them.
    private func checkStrict(_ part: BackupContent.StrictPart) async throws(AdminFailure) {
        try Self.checkStrictVersion(part.version)
        guard !part.isEmpty, strict.isOn || !part.keys.isEmpty else { return }
        let keys = part.keys
        let later = "restore without them (--strict skip), and them later (--strict only)"
        if let outside = keys.first(where: { !strict.covers($0.key.text) }) {
            throw AdminFailure(
                .conflict,
                "the backup holds \(counted(keys.count, "strict key")), and \(outside.key.text.quoted) is not strict here: "
                    + "configure strict.prefixes as it was, or \(later)")
        }
        guard try await strict.status().reachedLeader != nil else {
            throw AdminFailure(
                .unavailable,
                "the backup holds \(counted(keys.count, "strict key")), which go through the log, and the group has no leader: "
                    + later, outcome: .notDone)
        }
    }

    /// Half of what versions may be raised to: room for all that comes.
    static let restoredVersionMax = StrictBounds.versionMax / 2

    static func checkStrictVersion(_ version: UInt64) throws(AdminFailure) {
        guard version <= restoredVersionMax else {
            throw AdminFailure(
                .badRequest,
                "the backup says that versions of strict keys went up to \(version), which no group reaches: it is damaged, "
                    + "or was made up; restore it without them (--strict skip)")
        }
    }

    /// Into the group that the backup is of, whatever was given meanwhile is in its log. Into another one, what was given after
    /// the backup is known to nobody: the step is for that.
    private func raiseVersions(_ part: BackupContent.StrictPart) async throws(AdminFailure) {
        let isSame = try await strict.status().group.map { part.groups == [$0] } ?? false
        let raise = StrictOperation.raiseVersions(above: part.version, by: isSame ? 0 : StrictNode.versionStep)
        _ = try await strict.change(raise, AdminLimits.strictTimeoutMax / 5)
    }

    /// Keys that the group has by now stay as they are: they are newer.
    private func writeStrict(
        _ keys: [BackupContent.StrictValue], isOnly: Bool
    ) async throws(AdminFailure) -> (restored: Int, kept: Int) {
        var (restored, kept) = (0, 0)
        for value in keys {
            let transaction = StrictTransaction(
                compares: [.exists(value.key, false)], then: [.put(value.key, value: value.value, lease: 0)])
            do throws(AdminFailure) {
                let answer = try await strict.change(.transaction(transaction), AdminLimits.strictTimeoutMax / 5)
                guard case .transaction(let succeeded, _) = answer else { throw AdminFailure.unexpectedReply }
                if succeeded { restored += 1 } else { kept += 1 }
            } catch {
                let rest = isOnly ? "" : "the rest of the backup is restored, and "
                throw AdminFailure(
                    error.code,
                    "\(rest)\(restored + kept) of \(counted(keys.count, "strict key")) are done, then \(value.key.text.quoted) "
                        + "failed: \(error.message); go on with --strict only, which leaves alone what is there",
                    outcome: error.outcome, missing: error.missing)
            }
        }
        return (restored, kept)
    }
}

/// A backup while it is read: rows for the store, and the values of strict keys apart. The feed of the group that wrote
/// them is not taken over: only a log may speak in its name.
private struct BackupContent {
    struct StrictValue {
        var key: StrictKey
        var value: [UInt8]
    }

    struct StrictPart {
        var keys: [StrictValue] = []
        /// Of deleted ones too, and of tokens.
        var version: UInt64 = 0
        var groups: Set<UInt64> = []

        var isEmpty: Bool { keys.isEmpty && version == 0 }
    }

    private let configuration: StoreConfiguration
    private let wall: WallTime
    private var reader = BackupReader()
    private var store: RestoredStore?
    private var context = CausalContext()
    private(set) var strict = StrictPart()

    init(configuration: StoreConfiguration, wall: WallTime) {
        self.configuration = configuration
        self.wall = wall
    }

    mutating func read(_ piece: [UInt8]) throws(AdminFailure) {
        // Moved out, so that its buffer is not copied with each piece.
        var reader = self.reader
        self.reader = BackupReader()
        do {
            try reader.read(piece) { try take($0) }
        } catch let failure as AdminFailure {
            throw failure
        } catch {
            throw AdminFailure(.badRequest, "\(error)")
        }
        self.reader = reader
    }

    private mutating func take(_ item: BackupItem) throws(AdminFailure) {
        switch item {
        case .header(let header):
            guard let point = header.strict else { break }
            strict.groups.insert(point.group)
            strict.version = max(strict.version, point.version)
        case .context(let found):
            context = CausalContext(entries: found.entries.filter { !$0.actor.isStrictFeed }) ?? CausalContext()
        case .floor(let floor):
            store = RestoredStore(configuration: configuration, floor: floor, context: context, wall: wall)
        case .row(let row):
            if row.author.isStrictFeed { return try takeStrict(row) }
            guard store?.add(row) == true else {
                throw AdminFailure(.badRequest, "the row of \(row.id.key) is not valid, or is there twice")
            }
        }
    }

    private mutating func takeStrict(_ row: Row) throws(AdminFailure) {
        strict.groups.insert(row.author.node.low)
        strict.version = max(strict.version, row.details.index)
        // What was deleted has nothing to bring back.
        guard case .register(let value?) = row.content else { return }
        guard let key = StrictKey(row.id.key) else {
            throw AdminFailure(.badRequest, "the row of \(row.id.key) is not valid")
        }
        strict.keys.append(StrictValue(key: key, value: value))
    }

    mutating func finish() throws(AdminFailure) -> UInt64 {
        do {
            return try reader.finish().header.revision
        } catch {
            throw AdminFailure(.badRequest, "\(error)")
        }
    }

    mutating func takeStore() -> RestoredStore? { store.take() }
}
