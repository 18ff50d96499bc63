// SPDX-License-Identifier: Apache-2.0
// Owns the version of the protocol between nodes: in each header, and in what a node says of itself.

/// One byte, the major version in the high half, the minor in the low half (Docs/protocol.md, "Versions").
///
/// Another major version is refused. Every minor version is accepted: a newer one only adds message kinds, values
/// and fields at the end of bodies, and what is unknown is passed over.
package enum ProtocolVersion {
    package static let major: UInt8 = 1
    package static let minor: UInt8 = 0
    /// The newest version that this node speaks.
    package static let current: UInt8 = major << 4 | minor

    /// `1.0`
    package static func text(_ version: UInt8) -> String { "\(version >> 4).\(version & 0xf)" }
}
