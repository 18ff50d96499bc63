// SPDX-License-Identifier: Apache-2.0
// Owns the rows of strict keys that another group than this node's wrote: kept out, or found and corrected.

import ClusterTypes
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup

extension NodeKernel {
    // MARK: Rows of peers

    /// Whether a peer's row is one that a strict key must not take: its node does not know that the key is strict, or belongs to
    /// another group that is alive. Counts it.
    mutating func isForeignToStrictKey(_ row: Row, _ turn: Turn) -> Bool {
        guard configuration.strict.isOn, configuration.strict.covers(row.id.key) else { return false }
        guard row.author.isStrictFeed else {
            statistics.strictRowsRefused += 1
            return true
        }
        guard let own = strict.node?.knownGroup, row.author != .strictFeed(group: own) else { return false }
        guard strict.rivals.isAlive(row.author.node.low, now: turn.now) else {
            strict.copies.isStale = true
            return false
        }
        statistics.strictForeignRows += 1
        return true
    }

    // MARK: Turns

    /// Called at the end of each input.
    mutating func lookAtCopies(_ turn: inout Turn) {
        // In place: a copy of the node costs more than all the rest.
        guard let group = strict.node?.knownGroup, !reset.isUnderWay else { return }
        let leads = strict.node?.leadsAll ?? false
        if strict.copies.group != group || strict.copies.leads != leads {
            strict.copies.group = group
            strict.copies.leads = leads
            beginLook(turn)
        } else if strict.copies.stage == .rest {
            guard strict.copies.isStale else { return }
            if let began = strict.copies.beganAt, turn.now - began < StrictCopies.interval {
                strict.copies.nextAt = began + StrictCopies.interval
                return
            }
            beginLook(turn)
        }
        if let at = strict.copies.nextAt, turn.now < at { return }
        strict.copies.nextAt = nil
        step(ActorID.strictFeed(group: group), &turn)
    }

    private mutating func beginLook(_ turn: Turn) {
        guard let group = strict.copies.group else { return }
        strict.copies.isStale = false
        strict.copies.leftOver = 0
        strict.copies.completions = 0
        strict.copies.beganAt = turn.now
        strict.copies.nextAt = nil
        guard strict.copies.wasRecovered || store.context.namesStrictFeed(otherThan: .strictFeed(group: group)) else {
            strict.copies.stage = .rest
            return
        }
        let start = StrictCopies.Cursor()
        strict.copies.stage = strict.copies.leads ? .surveying(start, StrictCopies.Survey()) : .looking(start)
    }

    private mutating func step(_ own: ActorID, _ turn: inout Turn) {
        switch strict.copies.stage {
        case .rest: break
        case .looking(let cursor): look(from: cursor, own, turn)
        case .held(let key, let cursor):
            if let copy = store.strictCopy(of: key), copy.author != own { return }
            look(from: cursor, own, turn)
        case .surveying(let cursor, let survey): goOn(surveying: survey, from: cursor, own, &turn)
        case .waiting(let survey): wait(survey, turn)
        case .correcting(let cursor, let left): correct(from: cursor, left, own, &turn)
        case .completing(let after, let missing, let through): complete(after, missing, through, own, &turn)
        }
    }

    private mutating func look(from cursor: StrictCopies.Cursor, _ own: ActorID, _ turn: Turn) {
        var cursor = cursor
        if let copy = next(from: &cursor, notBy: own, max: 1).first {
            strict.copies.stage = .held(copy.key, cursor)
        } else if cursor.prefix == configuration.strict.prefixes.count {
            strict.copies.stage = .rest
        } else {
            strict.copies.stage = .looking(cursor)
            strict.copies.nextAt = turn.now + StrictCopies.pause
        }
    }

    /// Rows of other groups from `cursor` on, which moves behind what was looked at.
    private func next(from cursor: inout StrictCopies.Cursor, notBy own: ActorID, max: Int) -> [StrictCopy] {
        guard cursor.prefix < configuration.strict.prefixes.count else { return [] }
        let found = store.strictCopies(
            below: configuration.strict.prefixes[cursor.prefix], behind: cursor.after, notBy: own,
            looks: StrictCopies.looksMax, max: max)
        cursor =
            found.next.map { StrictCopies.Cursor(prefix: cursor.prefix, after: $0) }
            ?? StrictCopies.Cursor(prefix: cursor.prefix + 1)
        return found.copies
    }

    // MARK: The leader

    private mutating func goOn(
        surveying survey: StrictCopies.Survey, from cursor: StrictCopies.Cursor, _ own: ActorID, _ turn: inout Turn
    ) {
        var (cursor, survey) = (cursor, survey)
        for copy in next(from: &cursor, notBy: own, max: .max) {
            survey.note(copy.author.node.low)
            survey.version = max(survey.version, copy.version)
            survey.count += 1
        }
        guard cursor.prefix == configuration.strict.prefixes.count else {
            strict.copies.stage = .surveying(cursor, survey)
            strict.copies.nextAt = turn.now + StrictCopies.pause
            return
        }
        // Also while the other group lives: what clients were told of its versions must not come again here.
        if let revision = strict.node?.machine.revision, survey.count > 0, survey.version >= revision {
            tell(.correct(StrictCorrection(keys: [], after: 0, above: survey.version)), &turn)
        }
        strict.copies.stage = .waiting(survey)
        wait(survey, turn)
    }

    private mutating func wait(_ survey: StrictCopies.Survey, _ turn: Turn) {
        let ends = survey.groups.map { strict.rivals.end(of: $0, now: turn.now) }
        if let first = ends.min(), turn.now < first {
            strict.copies.nextAt = first
            return
        }
        strict.copies.stage = .correcting(StrictCopies.Cursor(), StrictCopies.Survey())
        strict.copies.nextAt = turn.now
    }

    private mutating func correct(
        from cursor: StrictCopies.Cursor, _ left: StrictCopies.Survey, _ own: ActorID, _ turn: inout Turn
    ) {
        guard strict.node?.mayCorrect == true else { return }
        if cursor.prefix == configuration.strict.prefixes.count {
            if left.count > 0 {
                strict.copies.stage = .waiting(left)
                return wait(left, turn)
            }
            return beginCompletion(own, &turn)
        }
        var (cursor, left) = (cursor, left)
        let start = cursor
        var batch = Batch()
        for copy in next(from: &cursor, notBy: own, max: StrictBounds.reissuedKeysMax) {
            if strict.rivals.isAlive(copy.author.node.low, now: turn.now) {
                left.note(copy.author.node.low)
                left.count += 1
            } else if let key = StrictKey(copy.key), copy.stamp.wall < HybridClock.wallMax {
                guard batch.take(key, bytes: strict.node?.machine.entry(key)?.value.count ?? 0) else {
                    cursor = StrictCopies.Cursor(prefix: start.prefix, after: batch.keys.last?.text)
                    break
                }
                batch.after = max(batch.after, copy.stamp.wall.milliseconds)
            } else {
                // Nothing can be later.
                strict.copies.leftOver += 1
            }
        }
        strict.copies.stage = .correcting(cursor, left)
        tellAnew(batch, &turn)
    }

    private mutating func tellAnew(_ batch: Batch, _ turn: inout Turn) {
        strict.copies.nextAt = turn.now + StrictCopies.pause
        guard !batch.keys.isEmpty else { return }
        strict.copies.corrected += batch.keys.count
        tell(.correct(StrictCorrection(keys: batch.keys, after: batch.after, above: 0)), &turn)
    }

    // MARK: The state's own keys

    /// The changes before this group had its name were told under another's. When the store has all that the state has, they
    /// are all reflected in it: that is what a context says.
    private mutating func beginCompletion(_ own: ActorID, _ turn: inout Turn) {
        guard let changes = strict.node?.machine.changeCount, changes > 0, store.context.contiguous(of: own) == 0,
            strict.copies.completions < StrictCopies.completionsMax
        else { return endCorrection(&turn) }
        strict.copies.completions += 1
        strict.copies.stage = .completing(after: nil, missing: 0, through: changes)
        strict.copies.nextAt = turn.now
    }

    private mutating func complete(
        _ after: StrictKey?, _ missing: Int, _ through: UInt64, _ own: ActorID, _ turn: inout Turn
    ) {
        guard strict.node?.mayCorrect == true else { return }
        var batch = Batch()
        var looks = 0
        var last = after
        var isEnd = true
        strict.node?.machine.visitEntries(withPrefix: "", after: after) { key, entry in
            let copy = store.strictCopy(of: key.text)
            let isRight = copy?.author == own && copy?.version == entry.modified
            if looks >= StrictCopies.looksMax || !isRight && !batch.take(key, bytes: entry.value.count) {
                isEnd = false
                return false
            }
            if !isRight { batch.after = max(batch.after, copy?.stamp.wall.milliseconds ?? 0) }
            looks += 1
            last = key
            return true
        }
        let missing = missing + batch.keys.count
        guard isEnd, batch.keys.isEmpty else {
            strict.copies.stage = .completing(after: last, missing: missing, through: through)
            return tellAnew(batch, &turn)
        }
        if missing > 0 { return beginCompletion(own, &turn) }
        fillContext(of: own, through: through, &turn)
        endCorrection(&turn)
    }

    private mutating func fillContext(of own: ActorID, through: UInt64, _ turn: inout Turn) {
        let entry = CausalContext.Entry(actor: own, contiguous: through, cloud: [])
        guard let told = CausalContext(entries: [entry]), !store.context.isSuperset(of: told) else { return }
        _ = store.adopt(context: told)
        persist([.store(.context(store.context))], then: .context, &turn)
    }

    private mutating func endCorrection(_ turn: inout Turn) {
        strict.copies.stage = .rest
        strict.copies.wasRecovered = false
        guard strict.copies.corrected > 0 else { return }
        turn.actions.append(.event(.strict(.copiesCorrected(keys: strict.copies.corrected))))
        strict.copies.corrected = 0
    }

    /// Keys for one entry of the log.
    private struct Batch {
        var keys: [StrictKey] = []
        var bytes = 0
        /// The latest of what they hold, in milliseconds since 1970.
        var after: UInt64 = 0

        /// False: there is no room for it.
        mutating func take(_ key: StrictKey, bytes: Int) -> Bool {
            let sum = self.bytes + bytes
            guard keys.isEmpty || keys.count < StrictBounds.reissuedKeysMax && sum <= StrictCopies.batchBytesMax else {
                return false
            }
            keys.append(key)
            self.bytes = sum
            return true
        }
    }

    // MARK: Groups that meet

    /// Other groups that are alive.
    func strictForeignGroups(_ now: Instant) -> [StrictForeignGroup] {
        strict.rivals.living(now: now).map {
            StrictForeignGroup(group: $0.group, term: $0.term, leader: $0.leader, voters: $0.voters)
        }
    }
}
