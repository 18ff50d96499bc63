// SPDX-License-Identifier: Apache-2.0
// Owns the bounds of the admin API that clients and the daemon must agree on (DESIGN.md section 5).

/// Bounds on what a request may carry. All sizes are in bytes.
package enum AdminLimits {
    /// A key, UTF-8.
    package static let keyBytesMax = 512
    /// The value of a register.
    package static let valueBytesMax = 512 * 1024
    /// One element of a set.
    package static let elementBytesMax = 4 * 1024
    /// Elements in one request that changes a set.
    package static let elementsPerRequestMax = 1024
    /// Addresses in one join request.
    package static let joinAddressesMax = 64
    /// An address in text, and a member's name or id.
    package static let referenceBytesMax = 255
    /// Tags changed by one request.
    package static let tagsPerRequestMax = 64
    /// A tag's name; its value may use the rest of `tagBytesMax`.
    package static let tagNameBytesMax = 64
    /// The names and values of all tags together.
    package static let tagBytesMax = 752
    /// A cursor, which clients treat as opaque.
    package static let cursorBytesMax = 128
    /// The reason given with a write (`message`), UTF-8.
    package static let messageBytesMax = 512
    /// The user's name that goes along with a write, UTF-8; a longer one is cut.
    package static let userBytesMax = 64
    /// A client's idempotency id, UTF-8.
    package static let requestIDBytesMax = 128
    /// A user event's name.
    package static let eventNameBytesMax = 64
    /// A user event's payload: with its name and numbers it fits one sealed datagram of the smallest size.
    package static let eventPayloadBytesMax = 1_000
    /// A version, which clients treat as opaque.
    package static let versionBytesMax = 128
    /// The longest time to live of a value: ten years.
    package static let timeToLiveMax = Duration.seconds(10 * 366 * 86_400)
    /// Writes of one transaction, and so of one import.
    package static let transactionWritesMax = 16_384
    /// Keys and values of one transaction together.
    package static let transactionBytesMax = 16 * 1024 * 1024
    /// How long one request may wait for other nodes; who wants to wait longer asks again.
    package static let waitMax = Duration.seconds(50)
    /// How long a call about strict keys may take when the request does not say.
    package static let strictTimeoutDefault = Duration.seconds(5)
    /// The longest that a request may ask for.
    package static let strictTimeoutMax = Duration.seconds(50)
    /// Compares and steps of one transaction of strict keys together.
    package static let strictStepsMax = 4_096
    /// The shortest time to live of a lease.
    package static let leaseTimeMin = Duration.milliseconds(100)
    /// Locks of one page of the listing.
    package static let locksMax = 1_000
    /// Entries of one page of history, of a difference or of queued writes.
    package static let pageEntriesMax = 1_000
    /// Keys and values of one page together, about; a page has one entry at least.
    package static let pageBytesMax = 8 * 1024 * 1024
    /// Numbers of queued writes in one request.
    package static let queueNumbersMax = 1_024
    /// Names of files in one request about delivery.
    package static let renderNamesMax = 1_024
    /// Contents in the answer to a plan together; those of the files beyond it are left out.
    package static let renderShownBytesMax = 8 * 1024 * 1024
    /// A key that seals packets, as text with white space and remarks around it.
    package static let sealKeyBytesMax = 4_096
    /// The longest time for rendering, checking and reloading what one request asks for.
    package static let renderApplyMax = Duration.seconds(600)
}
