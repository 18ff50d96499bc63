// SPDX-License-Identifier: Apache-2.0
// Owns the fuzzer's program: which target libFuzzer feeds, named by the environment, and the seeds written to a folder.

import FuzzTargets
import Glibc

private enum Choice {
    /// A target's name.
    static let target = "GOSSIPFUZZ"
    /// A folder: write the target's seeds there, and end.
    static let seeds = "GOSSIPFUZZ_SEEDS"

    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// libFuzzer takes an ordinary `exit` for a finding.
private func leave(_ status: CInt) -> Never {
    fflush(nil)
    _exit(status)
}

private let chosenTarget: FuzzTarget = {
    guard let target = Choice.value(Choice.target).flatMap(FuzzTarget.init) else {
        let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
        print("gossipfuzz: set \(Choice.target) to one of \(names)")
        leave(64)
    }
    if let folder = Choice.value(Choice.seeds) { writeSeeds(of: target, to: folder) }
    return target
}()

private func writeSeeds(of target: FuzzTarget, to folder: String) -> Never {
    do {
        for (number, seed) in try target.seeds().enumerated() {
            guard let file = fopen("\(folder)/own-\(number)", "w") else { leave(73) }
            fwrite(seed, 1, seed.count, file)
            fclose(file)
        }
    } catch {
        print("gossipfuzz: no seeds: \(error)")
        leave(70)
    }
    leave(0)
}

/// What libFuzzer's own `main` calls with each input (llvm.org, "libFuzzer", "Fuzz Target"). Whatever ends the process is a
/// finding, and libFuzzer keeps the input.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do throws(FuzzFailure) {
        try chosenTarget.feed(Array(UnsafeBufferPointer(start: bytes, count: count)))
    } catch {
        print("gossipfuzz: \(chosenTarget.rawValue): \(error)")
        fflush(nil)
        abort()
    }
    return 0
}
