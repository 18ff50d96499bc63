// SPDX-License-Identifier: Apache-2.0
// Owns the entry of the fuzzer: which target it feeds, named by the environment.

import Glibc

/// What the fuzzer can feed bytes to. A target traps when something that must hold does not; everything else is fine.
enum FuzzTarget: String, CaseIterable {
    /// A datagram or one frame of a stream: decoding, and decoding what was encoded again.
    case packet
    /// Bytes of a stream in pieces of any size.
    case stream
    /// Packets as inputs of a whole kernel, whose invariants must hold after each.
    case kernel
    /// A backup's bytes, in pieces.
    case backup
    /// Bytes on the admin socket of a real server.
    case http

    static let variable = "GOSSIPFUZZ"

    static var chosen: FuzzTarget {
        guard let text = getenv(variable).map({ String(cString: $0) }), let target = FuzzTarget(rawValue: text) else {
            let names = allCases.map(\.rawValue).joined(separator: ", ")
            print("gossipfuzz: set \(variable) to one of \(names)")
            exit(64)
        }
        return target
    }

    func feed(_ bytes: UnsafeBufferPointer<UInt8>) -> CInt {
        switch self {
        case .packet: PacketFuzz.feed(bytes)
        case .stream: StreamFuzz.feed(bytes)
        case .kernel: KernelFuzz.feed(bytes)
        case .backup: BackupFuzz.feed(bytes)
        case .http: HTTPFuzz.feed(bytes)
        }
    }
}

/// What libFuzzer's own `main` calls with each input (llvm.org, "libFuzzer", "Fuzz Target").
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    chosenTarget.feed(UnsafeBufferPointer(start: bytes, count: count))
}

private let chosenTarget = FuzzTarget.chosen

/// Ends the process with a word on what did not hold; libFuzzer keeps the input.
func require(_ condition: Bool, _ text: @autoclosure () -> String) {
    if !condition { fatalError(text()) }
}
