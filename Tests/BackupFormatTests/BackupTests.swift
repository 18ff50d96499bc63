// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the backup's format: whole ones are read back, everything else is refused by name.

import BackupFormat
import ClusterTypes
import StoreCore
import Testing

@Suite("Backup format")
struct BackupTests {
    private let header = BackupHeader(
        createdAt: WallTime(milliseconds: 1_700_000_000_123), node: "web-1 \"x\\y\" \u{1}ü",
        storeID: "0123456789abcdef",
        revision: 42)
    private let author = ActorID(node: NodeID(high: 1, low: 2), epoch: 3)

    private var floor: CollectionFloor {
        CollectionFloor(
            cutoff: HybridTimestamp(rawValue: 99),
            folded: [CollectionFloor.Folded(Dot(actor: author, counter: 7), cutoff: HybridTimestamp(rawValue: 98))])
    }

    private var context: CausalContext {
        var context = CausalContext()
        for counter in [1, 2, 5] { context.insert(Dot(actor: author, counter: UInt64(counter))) }
        return context
    }

    private func rows(_ count: Int, bytes: Int = 10) -> [Row] {
        var rows: [Row] = []
        for index in 0..<count {
            let value = [UInt8](repeating: UInt8(index % 256), count: bytes)
            let dot = Dot(actor: author, counter: UInt64(index + 1))
            let stamp = HybridTimestamp(rawValue: UInt64(index + 100))
            let id = RowID(key: "key/\(10_000 + index)", part: .register)
            rows.append(Row(id: id, versions: [dot], stamp: stamp, author: author, content: .register(value)))
        }
        return rows
    }

    private func backup(_ rows: [Row]) throws -> (pieces: [[UInt8]], summary: BackupSummary) {
        var writer = BackupWriter()
        var pieces: [[UInt8]] = []
        try writer.begin(header, context: context, floor: floor) { pieces.append($0) }
        for row in rows { try writer.add(row) { pieces.append($0) } }
        let summary = try writer.finish { pieces.append($0) }
        return (pieces, summary)
    }

    @Test("the header tells the strict group and its highest version, or nothing of them")
    func strictPoint() throws {
        for point in [nil, BackupHeader.StrictPoint(group: .max, version: 0), .init(group: 7, version: .max)] {
            var told = header
            told.strict = point
            var writer = BackupWriter()
            var bytes: [UInt8] = []
            try writer.begin(told, context: context, floor: floor) { bytes += $0 }
            _ = try writer.finish { bytes += $0 }
            var items: [BackupItem] = []
            var reader = BackupReader()
            try reader.read(bytes) { items.append($0) }
            #expect(items.first == .header(told))
        }
    }

    @Test("what is written is read back, in pieces of any size", arguments: [1, 7, 4_096, 1 << 20])
    func roundTrip(size: Int) throws {
        let rows = rows(300, bytes: 2_000)
        let (pieces, summary) = try backup(rows)
        let bytes = pieces.flatMap { $0 }
        #expect(pieces.count > 5)
        var items: [BackupItem] = []
        var reader = BackupReader()
        for start in stride(from: 0, to: bytes.count, by: size) {
            try reader.read(bytes[start..<min(start + size, bytes.count)]) { items.append($0) }
        }
        #expect(items == [.header(header), .context(context), .floor(floor)] + rows.map { .row($0) })
        let read = try reader.finish()
        #expect(read == summary)
        #expect(read.bytes == UInt64(bytes.count))
        #expect(read.root == rows.reduce(into: Hash128.zero) { $0 += $1.stableHash })
    }

    @Test("an empty store has a backup")
    func empty() throws {
        var pieces = try backup([]).pieces[...]
        let summary = try BackupReader.verify { pieces.popFirst() }
        #expect(summary.rows == 0 && summary.header == header)
    }

    @Test("a backup that ends early is not whole, wherever it ends")
    func truncated() throws {
        let bytes = try backup(rows(3)).pieces.flatMap { $0 }
        for count in 0..<bytes.count {
            var reader = BackupReader()
            try reader.read(bytes.prefix(count)) { _ in }
            #expect(throws: BackupFailure.truncated) { try reader.finish() }
        }
    }

    @Test("no flipped bit goes unnoticed")
    func flipped() throws {
        let bytes = try backup(rows(3)).pieces.flatMap { $0 }
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                #expect(throws: BackupFailure.self, "byte \(index), bit \(bit)") {
                    var reader = BackupReader()
                    try reader.read(damaged) { _ in }
                    return try reader.finish()
                }
            }
        }
    }

    @Test("pieces left out, repeated or in another order are noticed")
    func shuffled() throws {
        let pieces = try backup(rows(400, bytes: 2_000)).pieces
        func verify(_ pieces: [[UInt8]]) throws -> BackupSummary {
            var rest = pieces[...]
            return try BackupReader.verify { rest.popFirst() }
        }
        _ = try verify(pieces)
        for index in pieces.indices {
            var without = pieces
            without.remove(at: index)
            #expect(throws: BackupFailure.self, "without \(index)") { try verify(without) }
            var twice = pieces
            twice.insert(pieces[index], at: index)
            #expect(throws: BackupFailure.self, "\(index) twice") { try verify(twice) }
        }
        var swapped = pieces
        swapped.swapAt(4, 5)
        #expect(throws: BackupFailure.self) { try verify(swapped) }
    }

    @Test("other files and newer formats are named as what they are")
    func others() throws {
        var reader = BackupReader()
        #expect(throws: BackupFailure.notABackup) { try reader.read(Array("not a backup, surely".utf8)) { _ in } }
        var newer = BackupReader()
        #expect(throws: BackupFailure.newerVersion(2)) { try newer.read(Array("gsbackup".utf8) + [0, 2]) { _ in } }
        let short = BackupReader()
        #expect(throws: BackupFailure.truncated) { try short.finish() }
        var following = BackupReader()
        let bytes = try backup([]).pieces.flatMap { $0 }
        #expect(throws: BackupFailure.trailingBytes) { try following.read(bytes + [0]) { _ in } }
    }

    @Test("a stored row is read back, and no flipped bit in it goes unnoticed")
    func storedRow() throws {
        let row = rows(1)[0]
        let bytes = StoredRowCodec.encode(row)
        #expect(try bytes.withUnsafeBytes { try StoredRowCodec.decode($0) } == row)
        for bit in 0..<(bytes.count * 8) {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: StoredRowCodec.Damage.self) {
                try damaged.withUnsafeBytes { try StoredRowCodec.decode($0) }
            }
        }
        #expect(throws: StoredRowCodec.Damage.self) { try [UInt8]().withUnsafeBytes { try StoredRowCodec.decode($0) } }
    }

    @Test("columns of parts sort as parts do")
    func columns() {
        let low = ActorID(node: NodeID(high: 0, low: .max), epoch: 2)
        let parts: [RowID.Part] = [
            .register, .element([]), .element([0]), .element([0, 1]), .element([255]), .counter(low), .counter(author),
        ]
        #expect(parts == parts.sorted())
        let columns = parts.map(\.columnBytes)
        #expect(columns == columns.sorted { $0.lexicographicallyPrecedes($1) })
        #expect(author.columnBytes.withUnsafeBytes { ActorID(columnBytes: $0) } == author)
        #expect([UInt8]([1]).withUnsafeBytes { ActorID(columnBytes: $0) } == nil)
    }
}
