// SPDX-License-Identifier: Apache-2.0
// Owns the keys of a cluster as a value that all members converge on: which exist, which is used, which are retired.

import ClusterTypes

/// Why a change of the ring was refused; the ring is as it was.
package enum KeyRingRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case unknown(KeyID)
    case retired(KeyID)
    case primary(KeyID)
    case full
    /// Another key has the same id: one in 4 294 967 296.
    case collision(KeyID)

    package var description: String {
        switch self {
        case .unknown(let id): "no key \(id) is installed: see \"gossipctl key list\""
        case .retired(let id): "key \(id) was retired and does not come back: generate another one"
        case .primary(let id): "key \(id) is the one that is used: use another one first"
        case .full: "\(KeyRing.keysMax) keys are installed: retire one first"
        case .collision(let id): "another key has the id \(id): generate another one"
        }
    }
}

/// A ring is a join-semilattice: entries by key id, of each the latest decision, and a register that says which key is used.
/// `merge` is commutative, associative and idempotent, also where it drops what is beyond the bound: an entry's rank is its stamp,
/// so what was dropped can never have been the latest. Stamps are milliseconds since 1970; each change takes one that is higher
/// than all it knows of.
package struct KeyRing: Sendable {
    /// Installed keys, as `install` allows.
    package static let keysMax = 8
    /// Entries with those of retired keys, whatever was merged; the newest stay.
    package static let entriesMax = 64
    /// How long a retired key still opens packets. Default 72 h: longer than a weekend's outage.
    package static let graceDefault = Interval.seconds(72 * 3_600)

    package enum State: UInt8, Sendable, CaseIterable {
        case installed = 0
        case retired = 1
    }

    package struct Entry: Sendable {
        package let id: KeyID
        /// Always there while the key is installed; a retired one loses it when its grace is over.
        package var key: ClusterKey?
        package var state: State
        /// When it changed last; of a retired key: when it was retired.
        package var stamp: UInt64
    }

    /// Sorted by id, each once.
    package internal(set) var entries: [Entry] = []
    /// Which key was chosen last, and when. It may have been retired elsewhere at the same time: ask `primary`.
    var chosen: (id: KeyID, stamp: UInt64)?

    package init() {}

    /// The ring of a node that has its keys from a file: stamps 0, so that whatever was decided at run time wins.
    package init(keys: [ClusterKey]) {
        entries = keys.map { Entry(id: $0.id, key: $0, state: .installed, stamp: 0) }.sorted { $0.id < $1.id }
        chosen = keys.first.map { ($0.id, 0) }
        bound()
    }

    package subscript(id: KeyID) -> Entry? { entries.first { $0.id == id } }

    /// The key to seal with: the chosen one; if that was retired meanwhile, the newest installed one; failing that the newest
    /// that is still there. nil only for a ring without keys.
    package var primary: ClusterKey? {
        if let chosen, let entry = self[chosen.id], entry.state == .installed, let key = entry.key { return key }
        let newest = entries.filter { $0.key != nil }.max { a, b in
            if a.state != b.state { return a.state == .retired }
            return a.stamp != b.stamp ? a.stamp < b.stamp : a.id < b.id
        }
        return newest?.key
    }

    /// The keys to open with, the primary first.
    package var accepted: [ClusterKey] {
        guard let primary else { return [] }
        return [primary] + entries.compactMap(\.key).filter { $0.id != primary.id }
    }

    /// Adds a key; one that is there already stays as it is. The first key of a ring is used at once.
    package mutating func install(_ key: ClusterKey, at now: UInt64) throws(KeyRingRefusal) {
        if let entry = self[key.id] {
            if entry.state == .retired { throw .retired(key.id) }
            if let own = entry.key, !own.isSame(as: key) { throw .collision(key.id) }
            return
        }
        guard entries.count(where: { $0.state == .installed }) < Self.keysMax else { throw .full }
        let stamp = nextStamp(now)
        entries.append(Entry(id: key.id, key: key, state: .installed, stamp: stamp))
        entries.sort { $0.id < $1.id }
        if chosen == nil { chosen = (key.id, stamp) }
        bound()
    }

    /// Seals with this key from now on.
    package mutating func use(_ id: KeyID, at now: UInt64) throws(KeyRingRefusal) {
        guard let index = entries.firstIndex(where: { $0.id == id }) else { throw .unknown(id) }
        guard entries[index].state == .installed else { throw .retired(id) }
        let stamp = nextStamp(now)
        entries[index].stamp = stamp
        chosen = (id, stamp)
    }

    /// Accepts this key only until its grace is over.
    package mutating func retire(_ id: KeyID, at now: UInt64) throws(KeyRingRefusal) {
        guard let index = entries.firstIndex(where: { $0.id == id }) else { throw .unknown(id) }
        guard entries[index].state == .installed else { throw .retired(id) }
        if primary?.id == id { throw .primary(id) }
        let stamp = nextStamp(now)
        entries[index].state = .retired
        entries[index].stamp = stamp
    }

    /// Drops the material of keys whose grace is over; the primary's never. True when something was dropped.
    package mutating func expire(at now: UInt64, grace: Interval = graceDefault) -> Bool {
        let used = primary?.id
        let milliseconds = UInt64(max(grace.nanoseconds / 1_000_000, 0))
        var isChanged = false
        for index in entries.indices where entries[index].state == .retired && entries[index].key != nil {
            let age = now > entries[index].stamp ? now - entries[index].stamp : 0
            guard age >= milliseconds, entries[index].id != used else { continue }
            entries[index].key = nil
            isChanged = true
        }
        return isChanged
    }

    /// Takes over whatever `other` knows and we do not.
    package mutating func merge(_ other: KeyRing) {
        for entry in other.entries {
            guard let index = entries.firstIndex(where: { $0.id == entry.id }) else {
                entries.append(entry)
                continue
            }
            entries[index].join(entry)
        }
        entries.sort { $0.id < $1.id }
        if let theirs = other.chosen {
            let ours = chosen ?? theirs
            chosen = (theirs.stamp, theirs.id) > (ours.stamp, ours.id) ? theirs : ours
        }
        bound()
    }

    /// 64 bits that are the same for rings that say the same; 0 for none. It is made of ids, states and stamps, not of keys; what
    /// was dropped at the end of a grace does not change it.
    package var fingerprint: UInt64 {
        if entries.isEmpty { return 0 }
        var hasher = StableHasher()
        for entry in entries {
            hasher.absorb(entry.id.rawValue)
            hasher.absorb(entry.state.rawValue)
            hasher.absorb(entry.stamp)
        }
        hasher.absorb(chosen?.id.rawValue ?? 0)
        hasher.absorb(chosen?.stamp ?? 0)
        return hasher.finalize().high
    }

    private func nextStamp(_ now: UInt64) -> UInt64 {
        let seen = max(entries.map(\.stamp).max() ?? 0, chosen?.stamp ?? 0)
        return max(now, seen == .max ? .max : seen + 1)
    }

    /// Keeps the newest entries.
    private mutating func bound() {
        guard entries.count > Self.entriesMax else { return }
        let newest = entries.sorted { ($0.stamp, $0.id) > ($1.stamp, $1.id) }.prefix(Self.entriesMax)
        entries = newest.sorted { $0.id < $1.id }
    }
}

extension KeyRing.Entry {
    /// The later decision, at one time the retirement; material is kept where either has it.
    fileprivate mutating func join(_ other: KeyRing.Entry) {
        if (other.stamp, other.state.rawValue) > (stamp, state.rawValue) { (stamp, state) = (other.stamp, other.state) }
        // Two keys of one id: nobody meets that by chance. Which one stays must still not depend on the order.
        switch (key, other.key) {
        case (nil, let theirs): key = theirs
        case (let ours?, let theirs?):
            if ours.secretBytes.lexicographicallyPrecedes(theirs.secretBytes) { key = theirs }
        case (_?, nil): break
        }
    }
}
