// SPDX-License-Identifier: Apache-2.0
// Owns undoing changes one by one: a key's view from newest to oldest.

import ClusterTypes
import StoreCore

/// Begins with what a key shows and takes changes out of it, newest first.
struct PastView {
    private let key: String
    private var content: KeyView.Content?
    private var version: Version
    private var aside: [KeyType]
    /// Nothing has been undone: the present holds, with the types beside it.
    private var isPresent = true
    /// A change was left in place: what lies below it is only undone where changes are independent of each other.
    private var hasStopped = false

    init(key: String, present: KeyView?) {
        self.key = key
        content = present?.content
        version = present?.version ?? Self.unknownVersion
        aside = present?.aside ?? []
    }

    private static let unknownVersion = Version(stamp: .zero, author: ActorID(node: .unknown, epoch: 0))

    var view: KeyView? {
        guard let content else { return nil }
        if case .set(let elements) = content, elements.isEmpty { return nil }
        return KeyView(key: key, content: content, version: version, aside: isPresent ? aside : [])
    }

    /// The change is part of the view: it says how the key came to be as it is.
    mutating func stop(at row: HistoryRow) {
        if hasStopped { return }
        hasStopped = true
        if !isPresent { version = row.version }
        // An expired value's row is still there.
        if row.kind == .delete { content = nil }
    }

    /// False: what was there before is not known.
    mutating func undo(_ row: HistoryRow) -> Bool {
        isPresent = false
        version = Self.unknownVersion
        if hasStopped {
            switch row.kind {
            case .add, .remove: undoElement(row.kind)
            case .increment(_, let delta):
                if case .counter(let value) = content {
                    content = .counter(Int64(clamping: Int128(value) - Int128(delta)))
                }
            case .put, .delete, .typeConflict: break
            }
            return true
        }
        switch row.before {
        case .unknown: return false
        case .content(let before): content = before
        case .same: undoElement(row.kind)
        }
        return true
    }

    private mutating func undoElement(_ kind: HistoryRow.Kind) {
        var elements: [[UInt8]] = []
        if case .set(let present) = content { elements = present }
        switch kind {
        case .add(let element): elements.removeAll { $0 == element }
        case .remove(let element):
            guard !elements.contains(element) else { return }
            let index = elements.firstIndex { element.lexicographicallyPrecedes($0) } ?? elements.count
            elements.insert(element, at: index)
        case .put, .delete, .increment, .typeConflict: return
        }
        content = .set(elements)
    }
}
