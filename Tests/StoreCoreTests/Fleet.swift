// SPDX-License-Identifier: Apache-2.0
// Owns a random history over several stores, and the model that says what each of them must show.

import ClusterTypes
import StoreCore
import Testing

/// What happened, told without joins: sets of events, and for each remove which events it had seen.
struct Model {
    enum Kind: Hashable {
        case put([UInt8])
        case add
        case increment(Int64)
        /// Delete of a register, remove of an element, reset of a counter's share.
        case clear
    }

    struct Event: Hashable {
        var dot: Dot
        var kind: Kind
        var version: Version
        /// Events on the same row that the author had seen.
        var observed: Set<Dot>
    }

    /// All events ever made, by row.
    var events: [RowID: [Dot: Event]] = [:]

    /// What a row must hold for somebody who has seen `seen` of its events: value, membership or share.
    func content(_ id: RowID, seen: Set<Dot>) -> (value: [UInt8]?, live: Bool, share: Int64, newest: Version?) {
        let known = (events[id] ?? [:]).values.filter { seen.contains($0.dot) }
        let newest = known.max { $0.version < $1.version }
        let cleared = known.filter { $0.kind == .clear }.reduce(into: Set<Dot>()) { $0.formUnion($1.observed) }
        var share: Int64 = 0
        var live = false
        for event in known where !cleared.contains(event.dot) {
            switch event.kind {
            case .put, .clear: break
            case .add: live = true
            case .increment(let amount):
                share += amount
                live = true
            }
        }
        guard case .register = id.part else { return (nil, live, share, newest?.version) }
        guard case .put(let value) = newest?.kind else { return (nil, false, 0, newest?.version) }
        return (value, true, 0, newest?.version)
    }
}

/// Several stores, the deltas under way between them, and what each has seen.
struct Fleet {
    /// A row under way, with the events on it that it reflects.
    struct Delta {
        var row: Row
        var seen: [RowID: Set<Dot>]
        /// The author's floor: rows travel only between equal ones.
        var mark: UInt64
        /// The rows of one write come together or not at all, as far as floors are concerned.
        var group: Int
    }

    var stores: [Store]
    var seen: [[RowID: Set<Dot>]]
    var model = Model()
    var deltas: [Delta] = []
    var dots: Set<Dot> = []
    var doubleDots: [Dot] = []
    var time: UInt64 = 0
    var rng: SeededGenerator
    /// Whether rows of one write are delivered together.
    var keepsGroups = false
    private var groups = 0
    /// Keys whose name says which type they hold, and one that holds anything.
    var keys = ["register/a", "register/b", "set/a", "set/b", "counter/a", "counter/b", "any"]

    init(replicas: Int, seed: UInt64) {
        stores = (1...replicas).map { store($0) }
        seen = Array(repeating: [:], count: replicas)
        rng = SeededGenerator(seed: seed)
    }

    /// A random write on a random store, or a random delta delivered to one.
    mutating func step() {
        if rng.chance(0.3) { time += UInt64(rng.index(below: 3)) }
        let replica = rng.index(below: stores.count)
        if rng.chance(0.5), !deltas.isEmpty {
            deliver(rng.index(below: deltas.count), to: replica)
        } else {
            write(on: replica)
        }
    }

    mutating func deliver(_ index: Int, to replica: Int) {
        guard deltas[index].mark == stores[replica].floor.mark else { return }
        let group = deltas[index].group
        for delta in keepsGroups ? deltas.filter({ $0.group == group }) : [deltas[index]] {
            stores[replica].mergeAll([delta.row], wall: wall(time))
            for (id, dots) in delta.seen { seen[replica][id, default: []].formUnion(dots) }
        }
    }

    mutating func write(on replica: Int) {
        let key = keys[rng.index(below: keys.count)]
        let type =
            key == "any" ? ["register", "set", "counter"][rng.index(below: 3)] : String(key.prefix { $0 != "/" })
        let element = [UInt8(97 + rng.index(below: 3))]
        let value: [UInt8] = [UInt8(rng.index(below: 250))]
        let amount = Int64(rng.index(below: 9)) - 4
        // Clocks of the stores are apart by up to 3 ms each way.
        let now = wall(time + UInt64(replica % 4))
        let deletes = rng.chance(0.15)
        let removes = rng.chance(0.4)
        do {
            if deletes {
                record(try stores[replica].delete(key, wall: now), .clear, by: replica)
            } else if type == "register" {
                record(try stores[replica].put(value, for: key, wall: now), .put(value), by: replica)
            } else if type == "counter" {
                record(try stores[replica].increment(key, by: amount, wall: now), .increment(amount), by: replica)
            } else if removes {
                record(try stores[replica].remove(element, from: key, wall: now), .clear, by: replica)
            } else {
                record(try stores[replica].add(element, to: key, wall: now), .add, by: replica)
            }
        } catch {
            // Refused: a type conflict, nothing to delete, an increment by zero. Nothing may have changed, which the
            // comparison with the model shows.
        }
    }

    private mutating func record(_ mutation: Mutation, _ kind: Model.Kind, by replica: Int) {
        let author = stores[replica].actor
        let mark = stores[replica].floor.mark
        groups += 1
        for row in mutation.rows {
            guard let dot = row.versions.first(where: { $0.actor == author }) else { continue }
            if !dots.insert(dot).inserted { doubleDots.append(dot) }
            var reflected: [RowID: Set<Dot>] = [:]
            for id in told(by: row, on: replica) {
                let observed = seen[replica][id] ?? []
                model.events[id, default: [:]][dot] = Model.Event(
                    dot: dot, kind: kind, version: row.version, observed: observed)
                seen[replica][id, default: []].insert(dot)
                reflected[id] = observed.union([dot])
            }
            deltas.append(Delta(row: row, seen: reflected, mark: mark, group: groups))
        }
    }

    /// The rows of the model that a row stands for: the share of the folded actors for all of theirs.
    private func told(by row: Row, on replica: Int) -> [RowID] {
        guard row.id.part == .counter(.folded) else { return [row.id] }
        return stores[replica].floor.folded.map { RowID(key: row.id.key, part: .counter($0.actor)) }.filter {
            seen[replica][$0] != nil
        }
    }

    /// A complete exchange in small batches.
    mutating func repair(_ replica: Int, from peer: Int) {
        guard stores[replica].floor == stores[peer].floor else { return }
        stores[replica].pull(from: stores[peer], limit: RepairLimit(rowsMax: 2, bytesMax: 400), wall: wall(time))
        for (id, dots) in seen[peer] { seen[replica][id, default: []].formUnion(dots) }
    }

    /// Where a store differs from the model; nil when it does not.
    func difference(_ replica: Int) -> String? {
        let types = types(replica)
        let floor = stores[replica].floor
        for (id, dots) in seen[replica] {
            let expected = model.content(id, seen: dots)
            guard let row = stores[replica].row(id) else {
                // Collected when it was dead, or summed into the share of the folded actors.
                let isFolded = floor.folded.contains { id.part == .counter($0.actor) }
                if isFolded || (floor != .none && !expected.live) { continue }
                return "store \(replica) lacks \(id)"
            }
            if row.version != expected.newest { return "\(id) has the version \(row.version) on \(replica)" }
            if row.isLive != expected.live { return "\(id) is \(row.isLive ? "" : "not ")live on \(replica)" }
            switch row.content {
            case .register(let value): if value != expected.value { return "\(id) reads \(value ?? []) on \(replica)" }
            case .counter(let entry): if entry.value != expected.share { return "\(id) counts \(entry) on \(replica)" }
            case .element: break
            }
        }
        if floor == .none, stores[replica].rowCount != seen[replica].count {
            return "store \(replica) has rows that nobody wrote"
        }
        for key in keys {
            let expected = types[key].flatMap { visible(key, type: $0.type, replica: replica) }
            let read = stores[replica].read(key)
            if read?.content != expected { return "\(key) reads \(String(describing: read)) on \(replica)" }
            // The newest row may have been collected.
            if floor == .none, let read, read.version != types[key]?.newest {
                return "\(key) has another version on \(replica)"
            }
        }
        return nil
    }

    /// The type that each key shows, with its newest event: what is live goes before what is not, then the newest live
    /// row decides (without one the newest row), then the type.
    func types(_ replica: Int) -> [String: (type: KeyType, newest: Version)] {
        struct Rank {
            var isLive: Int
            var version: Version
            var newest: Version
        }
        var ranks: [String: [KeyType: Rank]] = [:]
        for (id, dots) in seen[replica] {
            let expected = model.content(id, seen: dots)
            guard let version = expected.newest else { continue }
            let rank = Rank(isLive: expected.live ? 1 : 0, version: version, newest: version)
            var known = ranks[id.key]?[id.part.type] ?? rank
            let newest = max(known.newest, version)
            if (known.isLive, known.version) < (rank.isLive, rank.version) { known = rank }
            known.newest = newest
            ranks[id.key, default: [:]][id.part.type] = known
        }
        return ranks.compactMapValues { types in
            types.max { a, b in
                (a.value.isLive, a.value.version, a.key) < (b.value.isLive, b.value.version, b.key)
            }.map { (type: $0.key, newest: $0.value.newest) }
        }
    }

    func visible(_ key: String, type: KeyType, replica: Int) -> KeyView.Content? {
        var elements: [[UInt8]] = []
        var sum: Int64 = 0
        var isCounterLive = false
        for (id, dots) in seen[replica] where id.key == key && id.part.type == type {
            let expected = model.content(id, seen: dots)
            switch id.part {
            case .register: return expected.value.map(KeyView.Content.register)
            case .element(let bytes): if expected.live { elements.append(bytes) }
            case .counter:
                sum += expected.share
                if expected.live { isCounterLive = true }
            }
        }
        if type == .counter { return isCounterLive ? .counter(sum) : nil }
        return elements.isEmpty ? nil : .set(elements.sorted { $0.lexicographicallyPrecedes($1) })
    }
}
