// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz targets of files: backups and the configuration.

import BackupFormat
import ClusterTypes
import DaemonConfig
import WireProtocol

enum FileFuzz {
    /// The first byte chooses the size of the pieces, and whether the checksums are made right first: else nothing but them
    /// would ever be tried.
    static func backup(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let mode = bytes.first else { return }
        let size = Int(mode >> 1) * 8 + 1
        let rest = Array(bytes.dropFirst())
        let backup = mode & 1 == 1 ? withChecksums(rest) : rest
        var reader = BackupReader()
        var wrong: FuzzFailure?
        for start in stride(from: 0, to: backup.count, by: size) {
            do {
                try reader.read(backup[start..<min(start + size, backup.count)]) { item in
                    do throws(FuzzFailure) { try check(item) } catch { wrong = error }
                }
            } catch {
                break
            }
        }
        _ = try? reader.finish()
        if let wrong { throw wrong }
    }

    /// What was read can be written, and reads the same again.
    private static func check(_ item: BackupItem) throws(FuzzFailure) {
        switch item {
        case .header: break
        case .context(let context):
            try require((try? ContextCodec.decode(ContextCodec.encode(context))) == context, "a context changes")
        case .floor(let floor):
            try require((try? FloorCodec.decode(FloorCodec.encode(floor))) == floor, "a floor changes")
        case .row(let row):
            try require((try? RowCodec.decode(RowCodec.encode(row))) == row, "a row changes")
        }
    }

    /// The format is at the head of BackupFormat/Backup.swift.
    private static func withChecksums(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        var (at, number) = (10, UInt64(0))
        while at + 5 <= bytes.count {
            let length = bytes[(at + 1)..<(at + 5)].reduce(0) { $0 << 8 | Int($1) }
            let end = at + 5 + length
            guard end + 8 <= bytes.count else { break }
            var hasher = StableHasher()
            hasher.absorb(bytes[at])
            hasher.absorb(UInt32(length))
            hasher.absorb(number)
            hasher.absorb(raw: bytes[(at + 5)..<end])
            let sum = hasher.finalize().low
            for byte in 0..<8 { bytes[end + byte] = UInt8(truncatingIfNeeded: sum >> (56 - 8 * UInt64(byte))) }
            (at, number) = (end + 8, number + 1)
        }
        return bytes
    }

    static func configuration(_ bytes: [UInt8]) throws(FuzzFailure) {
        let first = parsed(bytes)
        try require(first == parsed(bytes), "a configuration reads differently a second time")
        guard case .failure(let error) = first else { return }
        try require(!error.problems.isEmpty, "a refusal without a reason")
        for problem in error.problems {
            let line = problem.description
            try require(line.contains("fuzz.toml"), "a problem does not name its file: \(line)")
            let isPlain = line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
            try require(isPlain, "a problem has control characters")
        }
    }

    private static func parsed(_ bytes: [UInt8]) -> Result<DaemonConfiguration, ConfigurationError> {
        Result { () throws(ConfigurationError) in
            try DaemonConfiguration.parse(bytes, file: "fuzz.toml", hostName: "fuzz-1")
        }
    }
}
