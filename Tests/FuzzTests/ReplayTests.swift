// SPDX-License-Identifier: Apache-2.0
// Owns the replay of what fuzzing begins with and of what it found, through the same entry points, without a fuzzer.

import FuzzTargets
import Glibc
import NIOPosix
import Testing

@Suite("Inputs that were found by fuzzing")
struct ReplayTests {
    @Test("Every input is taken or refused, and what must hold holds", arguments: KeptInput.all)
    func replay(input: KeptInput) async throws {
        // Not on a thread of Swift's: one of the targets waits for a server that needs them.
        try await NIOThreadPool.singleton.runIfActive { try input.target.feed(input.bytes) }
    }

    @Test("The seeds that our own encoders make hold as well", arguments: FuzzTarget.allCases)
    func seeds(target: FuzzTarget) async throws {
        let seeds = try target.seeds()
        try await NIOThreadPool.singleton.runIfActive { for seed in seeds { try target.feed(seed) } }
    }

    @Test("Every target has an input, and no folder is without a target")
    func complete() {
        let names = Set(FuzzTarget.allCases.map(\.rawValue))
        #expect(Set(KeptInput.folders) == names)
        #expect(Set(KeptInput.all.map(\.target.rawValue)) == names)
        #expect(KeptInput.all.allSatisfy { !$0.bytes.isEmpty })
    }
}

/// `Inputs/TARGET/NAME`; `make fuzz` adds what it finds, and reads them all before it begins.
struct KeptInput: Sendable, CustomTestStringConvertible {
    let target: FuzzTarget
    let name: String
    let bytes: [UInt8]

    var testDescription: String { "\(target.rawValue)/\(name)" }

    private static let root = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/Inputs"

    static let folders = names(in: root)

    static let all: [KeptInput] = FuzzTarget.allCases.flatMap { target in
        let folder = "\(root)/\(target.rawValue)"
        return names(in: folder).map { KeptInput(target: target, name: $0, bytes: content(of: "\(folder)/\($0)")) }
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names.filter { !$0.hasPrefix(".") }.sorted()
    }

    private static func content(of path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
        }
    }
}
