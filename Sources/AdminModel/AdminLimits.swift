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
    package static let tagBytesMax = 896
    /// A cursor, which clients treat as opaque.
    package static let cursorBytesMax = 128
}
