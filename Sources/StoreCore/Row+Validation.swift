// SPDX-License-Identifier: Apache-2.0
// Owns the rules that a row from outside must keep.

import ClusterTypes

/// Which rule a row breaks.
package enum RowDefect: Hashable, Sendable {
    case invalidKey(KeyDefect)
    case valueTooLarge(bytes: Int)
    case elementTooLarge(bytes: Int)
    /// The content's case is not that of the id's part.
    case contentMismatch
    case noVersions
    case unsortedVersions
    case tooManyActors
    /// A dot's counter is 0 or beyond `Dot.counterMax`.
    case counterOutOfRange
    /// The author made none of the events that the row holds.
    case unknownAuthor
    case unsortedEntries
    /// An element's entry was removed before it was added, or its add is not among the row's events.
    case impossibleEntry
    /// More of a counter was reset than was ever counted, or its owner made no event.
    case impossibleCounter
}
