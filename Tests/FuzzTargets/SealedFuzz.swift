// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of sealed datagrams and streams: what is whole arrives, what is not is refused.

import ClusterTypes
import Sealing

/// The first byte chooses: bytes as they are, or bytes that are sealed first and then damaged, because no fuzzer guesses a tag.
enum SealedFuzz {
    static let cluster: UInt64 = 0xa1a2_a3a4_a5a6_a7a8
    static let version: UInt8 = 0x10
    static let keys: [ClusterKey] = {
        var rng = SeededGenerator(seed: 3)
        return (0..<2).map { _ in ClusterKey(using: &rng) }
    }()

    static func feed(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let mode = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch mode & 3 {
        case 0: datagram(rest)
        case 1: try damagedDatagram(rest)
        case 2: try stream(rest, piece: Int(mode >> 2) + 1)
        default: try damagedStream(rest, piece: Int(mode >> 2) + 1)
        }
    }

    /// Whatever comes from the network.
    private static func datagram(_ bytes: [UInt8]) {
        var opener = opener()
        let none = DatagramSealer(cluster: cluster, version: version)
        _ = bytes.withUnsafeBytes { raw in
            Result { () throws(SealRefusal) in try opener.open(raw, notFrom: none).packet }
        }
    }

    private static func opener() -> DatagramOpener {
        var opener = DatagramOpener(cluster: cluster, capacity: 8)
        opener.accept(keys)
        return opener
    }

    /// Two bytes of place, one of damage, and the content of a packet.
    private static func damagedDatagram(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard bytes.count >= 3 else { return }
        let plain = header + Array(bytes.dropFirst(3))
        var sealer = DatagramSealer(cluster: cluster, version: version)
        var rng = SeededGenerator(seed: 1)
        var sealed = [UInt8](repeating: 0, count: plain.count + SealedLayout.overheadBytes)
        let size = plain.withUnsafeBytes { plain in
            sealed.withUnsafeMutableBytes { sealer.seal(plain, under: keys[0], into: $0, using: &rng) }
        }
        try require(size == sealed.count, "a packet of \(plain.count) bytes was sealed to \(String(describing: size))")
        var opener = opener()
        let place = (Int(bytes[0]) << 8 | Int(bytes[1])) % sealed.count
        if bytes[2] != 0 {
            var damaged = sealed
            damaged[place] ^= bytes[2]
            let opened = open(damaged, with: &opener)
            try require((try? opened.get()) == nil, "a packet damaged at \(place) was opened")
            try require(opener.sessionCount == 0, "what was refused is remembered")
        }
        // Without its sender a packet is too short, whoever sealed it.
        guard plain.count >= SealedLayout.plainPrefixBytes + 16 else { return }
        try require((try? open(sealed, with: &opener).get()) == plain, "a packet does not come out as it went in")
        try require(open(sealed, with: &opener) == .failure(.replay), "a packet was opened twice")
    }

    private static let header: [UInt8] =
        [0x67, 0x73, version, 0] + withUnsafeBytes(of: cluster.bigEndian) { Array($0) }

    private static func open(_ bytes: [UInt8], with opener: inout DatagramOpener) -> Result<[UInt8], SealRefusal> {
        let none = DatagramSealer(cluster: cluster, version: version)
        return bytes.withUnsafeBytes { raw in
            Result { () throws(SealRefusal) in try opener.open(raw, notFrom: none).packet }
        }
    }

    private static func ephemeral(_ seed: UInt64) -> [UInt8] {
        var rng = SeededGenerator(seed: seed)
        return (0..<32).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
    }

    /// A responder that is sent anything.
    private static func stream(_ bytes: [UInt8], piece: Int) throws(FuzzFailure) {
        var responder = SealedStream(accepting: keys, cluster: cluster, version: version)
        let plain = receive(bytes, in: piece, by: &responder)
        try require(plain.plain.isEmpty, "a stranger without a key was heard")
        try require(!responder.isOpen, "a stream is open with a stranger")
    }

    /// Two bytes of place, one of damage, and what an initiator writes: all of it arrives, or what does is its beginning.
    private static func damagedStream(_ bytes: [UInt8], piece: Int) throws(FuzzFailure) {
        guard bytes.count >= 3 else { return }
        let place = Int(bytes[0]) << 8 | Int(bytes[1])
        let content = Array(bytes.dropFirst(3))
        guard
            let (initiator, first) = SealedStream.initiate(
                under: keys[1], cluster: cluster, version: version, ephemeral: ephemeral(11))
        else { throw FuzzFailure("no stream begins") }
        var (sender, responder) = (initiator, SealedStream(accepting: keys, cluster: cluster, version: version))
        var sent = 0
        var heard: [UInt8] = []
        func damaged(_ flow: [UInt8]) -> [UInt8] {
            defer { sent += flow.count }
            guard flow.indices.contains(place - sent) else { return flow }
            var flow = flow
            flow[place - sent] ^= bytes[2]
            return flow
        }
        let greeting = receive(damaged(first), in: piece, by: &responder)
        let proof = receive(greeting.answer, in: piece, by: &sender)
        heard += receive(damaged(proof.answer), in: piece, by: &responder).plain
        if let records = sender.seal(content) {
            heard += receive(damaged(records), in: piece, by: &responder).plain
        }
        try require(content.starts(with: heard), "a stream gives what nobody has written")
        if bytes[2] == 0 || place >= sent {
            try require(responder.isOpen && heard == content, "a stream loses what was written")
        } else if place < sent, content.isEmpty || place < first.count {
            try require(!responder.isOpen, "a stream damaged at \(place) is open")
        }
    }

    private static func receive(
        _ bytes: [UInt8], in piece: Int, by stream: inout SealedStream
    ) -> (answer: [UInt8], plain: [UInt8]) {
        var all: (answer: [UInt8], plain: [UInt8]) = ([], [])
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let progress = try? stream.receive(rest.prefix(piece), ephemeral: ephemeral(12)) else { return all }
            all.answer += progress.answer
            all.plain += progress.plain
            rest = rest.dropFirst(piece)
        }
        return all
    }
}
