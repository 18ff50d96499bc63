// SPDX-License-Identifier: Apache-2.0
// Owns the reasons for which sealed and unsealed input is refused.

/// Why a datagram or a stream was refused; nothing of it reached the protocol, no state changed.
package enum SealRefusal: String, Error, Hashable, Sendable, CaseIterable {
    /// Not sealed, where sealing is required.
    case plain
    /// Sealed for another protocol version.
    case version
    /// Sealed for another cluster.
    case cluster
    /// Sealed with a key that this node does not hold. Nothing was decrypted.
    case unknownKey = "unknown_key"
    /// Not authentic: forged, damaged, cut, or sealed with other bytes under the same id.
    case seal
    /// Seen before, or too old to tell.
    case replay
    /// A stream whose peer connected and showed no key in time.
    case silent
}
