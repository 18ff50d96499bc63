// SPDX-License-Identifier: Apache-2.0
// Owns the comparison of two states of one row: what the later one has lost.

import StoreCore

enum RowLoss {
    /// What `after` has lost against `before`; nil when it only grew. What `folded` actors did has moved to others' names
    /// and is not looked for.
    static func between(_ before: Row, _ after: Row, folded: Set<ActorID>) -> String? {
        for dot in before.versions
        where !folded.contains(dot.actor)
            && !after.versions.contains(where: { $0.actor == dot.actor && $0.counter >= dot.counter })
        {
            return "the event \(dot) is missing"
        }
        let old = before.version
        let new = after.version
        if new < old { return "version \(new) follows \(old)" }
        switch (before.content, after.content) {
        case (.register(let a), .register(let b)):
            return old == new && a != b ? "one version \(new) has two contents" : nil
        case (.element(let a), .element(let b)):
            for entry in a
            where !folded.contains(entry.actor)
                && !b.contains(where: {
                    $0.actor == entry.actor && $0.added >= entry.added && $0.removed >= entry.removed
                })
            {
                return "an add or a remove by \(entry.actor) is missing"
            }
            return nil
        case (.counter(let a), .counter(let b)):
            if b.generation > a.generation { return nil }
            let grew =
                b.generation == a.generation && b.increments >= a.increments && b.decrements >= a.decrements
                && b.resetIncrements >= a.resetIncrements && b.resetDecrements >= a.resetDecrements
            return grew ? nil : "a counter's total fell"
        case (.register, _), (.element, _), (.counter, _): return "its type changed"
        }
    }
}
