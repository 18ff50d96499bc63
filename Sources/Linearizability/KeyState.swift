// SPDX-License-Identifier: Apache-2.0
// Owns the model: what is known of a key or lock at one moment, and what a step makes of it.

/// Knowledge may be partial: where a window of a history begins nothing is known, and what is observed adds to it. Where a
/// step could go two ways the result knows less, never more: a contradiction is one whatever was not known.
struct KeyState: Hashable, Sendable {
    enum Presence: Hashable, Sendable {
        case unknown
        case absent
        case present
    }

    enum Holder: Hashable, Sendable {
        case unknown
        case free
        case owner(Int)
    }

    var presence = Presence.absent
    /// nil: not known, or not there.
    var value: String?
    /// nil: not known.
    var version: UInt64? = 0
    var holder = Holder.free
    /// The highest token seen: that of the holder, or of one before.
    var token: UInt64 = 0

    static let empty = KeyState()
    static let unknown = KeyState(presence: .unknown, value: nil, version: nil, holder: .unknown, token: 0)

    mutating func forget() {
        self = KeyState(presence: .unknown, value: nil, version: nil, holder: .unknown, token: token)
    }

    private mutating func setAbsent() {
        presence = .absent
        value = nil
        version = 0
    }

    /// nil: not known.
    func holds(_ condition: HistoryCondition) -> Bool? {
        switch condition {
        case .exists(_, let isThere): return presence == .unknown ? nil : (presence == .present) == isThere
        case .version(_, let version):
            if let known = self.version { return known == version }
            return presence == .present && version == 0 ? false : nil
        case .value(_, let value):
            if presence == .absent { return false }
            return self.value.map { $0 == value }
        }
    }

    /// The condition was seen to hold.
    /// - Returns: False when it cannot.
    mutating func learn(_ condition: HistoryCondition) -> Bool {
        if let known = holds(condition) { return known }
        switch condition {
        case .exists(_, let isThere):
            if isThere { presence = .present } else { setAbsent() }
        case .version(_, let version):
            if version == 0 {
                setAbsent()
            } else {
                presence = .present
                self.version = version
            }
        case .value(_, let value):
            presence = .present
            self.value = value
        }
        return true
    }

    /// - Returns: False when the step cannot have given what was observed.
    mutating func apply(_ step: HistoryStep, _ observation: HistoryObservation) -> Bool {
        switch step {
        case .get: return get(observation)
        case .put(_, let value): return put(value, observation)
        case .delete: return delete(observation)
        case .increment(_, let delta): return increment(by: delta, observation)
        case .acquire(_, let owner): return acquire(owner, observation)
        case .release(_, let owner): return release(owner, observation)
        }
    }

    private mutating func get(_ observation: HistoryObservation) -> Bool {
        switch observation {
        case .nothing: return true
        case .found(nil, _):
            guard presence != .present else { return false }
            setAbsent()
            return true
        case .found(let seen?, let seenVersion):
            guard presence != .absent, value ?? seen == seen else { return false }
            if let seenVersion {
                guard version ?? seenVersion == seenVersion, seenVersion > 0 else { return false }
                version = seenVersion
            }
            presence = .present
            value = seen
            return true
        case .written, .existed, .number, .locked, .busy, .branch: return false
        }
    }

    private mutating func put(_ new: String, _ observation: HistoryObservation) -> Bool {
        let next = version.map { $0 &+ 1 }
        switch observation {
        case .nothing: version = next
        case .written(let seen):
            guard next ?? seen == seen, seen > 0 else { return false }
            version = seen
        case .found, .existed, .number, .locked, .busy, .branch: return false
        }
        presence = .present
        value = new
        return true
    }

    private mutating func delete(_ observation: HistoryObservation) -> Bool {
        switch observation {
        case .nothing: break
        case .existed(let wasThere): if presence == (wasThere ? .absent : .present) { return false }
        case .found, .written, .number, .locked, .busy, .branch: return false
        }
        setAbsent()
        return true
    }

    private mutating func increment(by delta: Int64, _ observation: HistoryObservation) -> Bool {
        var known: Int64?
        if presence == .absent { known = 0 }
        if let value {
            guard let number = Int64(value) else { return false }
            known = number
        }
        let next = known.map { $0 &+ delta }
        switch observation {
        case .nothing: value = next.map { String($0) }
        case .number(let seen):
            guard next ?? seen == seen else { return false }
            value = String(seen)
        case .found, .written, .existed, .locked, .busy, .branch: return false
        }
        presence = .present
        version = version.map { $0 &+ 1 }
        return true
    }

    private mutating func acquire(_ owner: Int, _ observation: HistoryObservation) -> Bool {
        switch observation {
        case .nothing: if holder == .free { holder = .owner(owner) }
        case .locked(let seen):
            switch holder {
            case .free: guard seen > token else { return false }
            case .unknown: guard seen >= token else { return false }
            case .owner(let other): guard other == owner, seen >= token else { return false }
            }
            holder = .owner(owner)
            token = seen
        case .busy: return holder != .free && holder != .owner(owner)
        case .found, .written, .existed, .number, .branch: return false
        }
        return true
    }

    private mutating func release(_ owner: Int, _ observation: HistoryObservation) -> Bool {
        switch observation {
        case .nothing: if holder == .owner(owner) { holder = .free }
        case .existed(true):
            guard holder == .owner(owner) || holder == .unknown else { return false }
            holder = .free
        case .existed(false): return holder != .owner(owner)
        case .found, .written, .number, .locked, .busy, .branch: return false
        }
        return true
    }
}
