// SPDX-License-Identifier: Apache-2.0
// Owns the list of what a fuzzer feeds bytes to. `make fuzz` and the tests that replay found inputs both come in here.

/// A target fails when something that must hold does not, and traps when the code under it does; that bytes are refused is
/// never a failure.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// A datagram: decoding, and decoding what was encoded again.
    case packet
    /// Bytes of a plain stream in pieces of any size.
    case stream
    /// Packets as inputs of a whole kernel, whose invariants must hold after each.
    case kernel
    /// The same with a kernel that leads a strict group.
    case group
    /// The same with a voter of three that was restored, hears of no leader, and may be ordered to go on alone.
    case voter
    /// What the strict group keeps: commands, states, files of its log.
    case strict
    /// Sealed datagrams and sealed streams, whole and damaged.
    case sealed
    /// Key rings and key files.
    case ring
    /// A backup's bytes, in pieces.
    case backup
    /// A configuration file.
    case config
    /// Bytes on the admin socket of a real server.
    case http
    /// The lines of `POST /v1/calls`, in pieces.
    case calls

    /// Blocks the thread: `http` waits for a server's answer.
    package func feed(_ bytes: [UInt8]) throws(FuzzFailure) {
        switch self {
        case .packet: try WireFuzz.packet(bytes)
        case .stream: try WireFuzz.stream(bytes)
        case .kernel: try KernelFuzz.feed(bytes)
        case .group: try KernelFuzz.feed(bytes, as: .leader)
        case .voter: try KernelFuzz.feed(bytes, as: .voter)
        case .strict: try StrictFuzz.feed(bytes)
        case .sealed: try SealedFuzz.feed(bytes)
        case .ring: try RingFuzz.feed(bytes)
        case .backup: try FileFuzz.backup(bytes)
        case .config: try FileFuzz.configuration(bytes)
        case .http: try HTTPFuzz.feed(bytes)
        case .calls: try CallsFuzz.feed(bytes)
        }
    }
}

/// Something that must hold did not.
package struct FuzzFailure: Error, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }
}

func require(_ condition: Bool, _ text: @autoclosure () -> String) throws(FuzzFailure) {
    if !condition { throw FuzzFailure(text()) }
}
