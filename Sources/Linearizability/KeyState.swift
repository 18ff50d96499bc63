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
    /// Where versions ascend: the lowest that the present one can be, or, of a key that is not there, the highest before.
    var floor: UInt64 = 0
    var holder = Holder.free
    /// The highest token seen: that of the holder, or of one before.
    var token: UInt64 = 0
    /// `token` is that of the holder that there is.
    var isTokenOfHolder = false
    var versions = HistoryVersions.counted

    static func empty(_ versions: HistoryVersions) -> KeyState { KeyState(versions: versions) }

    static func unknown(_ versions: HistoryVersions) -> KeyState {
        KeyState(presence: .unknown, value: nil, version: nil, holder: .unknown, versions: versions)
    }

    mutating func forget() {
        let before = self
        self = .unknown(versions)
        token = before.token
        floor = before.floor
    }

    /// Nobody saw or asks for versions of this key: states that differ in them alone are one.
    mutating func ignoreVersion() {
        if version != nil { version = nil }
        if floor != 0 { floor = 0 }
    }

    /// A version that was not known is seen.
    /// - Returns: False when it cannot be that one.
    private mutating func learn(version seen: UInt64) -> Bool {
        if let version { return version == seen }
        if versions == .ascending {
            guard seen >= floor else { return false }
            floor = seen
        }
        version = seen
        return true
    }

    /// A write that was not seen to give a version.
    private mutating func advance() {
        switch versions {
        case .counted: version = version.map { $0 &+ 1 }
        case .ascending:
            version = nil
            floor &+= 1
        }
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
            if versions == .ascending, version != 0, version < floor { return false }
            return presence == .present && version == 0 ? false : nil
        case .value(_, let value):
            if presence == .absent { return false }
            return self.value.map { $0 == value }
        case .holds(_, let seen):
            if holder == .free || seen < token { return false }
            return isTokenOfHolder ? seen == token : nil
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
                return learn(version: version)
            }
        case .value(_, let value):
            presence = .present
            self.value = value
        case .holds(_, let seen):
            token = seen
            isTokenOfHolder = true
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
                guard seenVersion > 0, learn(version: seenVersion) else { return false }
            }
            presence = .present
            value = seen
            return true
        case .written, .existed, .number, .locked, .busy, .branch: return false
        }
    }

    private mutating func put(_ new: String, _ observation: HistoryObservation) -> Bool {
        switch observation {
        case .nothing: advance()
        case .written(let seen):
            switch versions {
            case .counted: guard version.map({ $0 &+ 1 }) ?? seen == seen, seen > 0 else { return false }
            case .ascending:
                guard seen > floor else { return false }
                floor = seen
            }
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
        advance()
        return true
    }

    private mutating func acquire(_ owner: Int, _ observation: HistoryObservation) -> Bool {
        switch observation {
        case .nothing:
            if holder == .free {
                holder = .owner(owner)
                isTokenOfHolder = false
            }
        case .locked(let seen):
            switch holder {
            case .free: guard seen > token else { return false }
            case .unknown: guard seen >= token else { return false }
            case .owner(let other):
                guard other == owner, isTokenOfHolder ? seen == token : seen >= token else { return false }
            }
            holder = .owner(owner)
            token = seen
            isTokenOfHolder = true
        case .busy: return holder != .free && holder != .owner(owner)
        case .found, .written, .existed, .number, .branch: return false
        }
        return true
    }

    private mutating func free() {
        holder = .free
        isTokenOfHolder = false
    }

    private mutating func release(_ owner: Int, _ observation: HistoryObservation) -> Bool {
        switch observation {
        case .nothing: if holder == .owner(owner) { free() }
        case .existed(true):
            guard holder == .owner(owner) || holder == .unknown else { return false }
            free()
        case .existed(false): return holder != .owner(owner)
        case .found, .written, .number, .locked, .busy, .branch: return false
        }
        return true
    }
}
