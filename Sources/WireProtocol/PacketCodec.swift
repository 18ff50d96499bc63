// SPDX-License-Identifier: Apache-2.0
// Owns the packet: its header, the framing of its messages, and the way from a `Packet` to bytes and back.

import ClusterTypes
import NodeKernel
import SWIMCore

/// The byte codec of protocol version 1; Docs/protocol.md describes every byte. No input can make it trap.
package enum PacketCodec {
    /// The exact sizes of messages on their own, for the kernel to fill datagrams by. Neighbouring rows of one packet take
    /// less together, never more: a packet is no longer than the sum.
    package static let sizes = WireSizes(header: WireLayout.headerBytes, message: { size(of: $0) })

    /// One message with its frame, in bytes.
    package static func size(of message: Message) -> Int {
        var counter = SizeCounter()
        counter.put(message)
        return counter.bytes
    }

    /// The whole packet, in bytes: exactly what `encode` writes.
    package static func size(of packet: Packet) -> Int {
        var counter = SizeCounter()
        counter.put(packet.messages)
        return WireLayout.headerBytes + counter.bytes
    }

    /// Writes `packet` to the beginning of `buffer` and returns how many bytes it took. The buffer's size is the
    /// limit: what does not fit is refused whole, and the buffer's content is then undefined.
    package static func encode(
        _ packet: Packet, into buffer: UnsafeMutableRawBufferPointer
    ) throws(EncodeFailure) -> Int {
        guard packet.messages.count <= Bounds.messagesPerPacketMax else { throw .tooManyMessages }
        guard let base = buffer.baseAddress else { throw .limit }
        var writer = ByteWriter(base: base, limit: buffer.count)
        writer.put(WireLayout.magic)
        writer.put(ProtocolVersion.current)
        writer.put(UInt8(0))
        writer.put(packet.cluster.rawValue)
        writer.put(packet.sender)
        writer.put(packet.messages)
        if let failure = writer.failure { throw failure }
        return writer.count
    }

    /// The bytes of `packet`, at most `limit`: for a datagram the configured size, for a frame
    /// `Bounds.frameBytesMax`.
    package static func encode(_ packet: Packet, limit: Int) throws(EncodeFailure) -> [UInt8] {
        let size = size(of: packet)
        guard size <= limit else { throw .limit }
        // The closure cannot throw a typed failure through this initialiser.
        var outcome: Result<Int, EncodeFailure> = .success(0)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            outcome = Result { () throws(EncodeFailure) in
                try encode(packet, into: UnsafeMutableRawBufferPointer(buffer))
            }
            if case .success(let written) = outcome { count = written }
        }
        _ = try outcome.get()
        return bytes
    }

    /// Reads a packet from exactly these bytes: one datagram, or one frame of a stream without its length.
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(DecodeFailure) -> DecodedPacket {
        guard bytes.count <= Bounds.frameBytesMax else { throw .length }
        guard let base = bytes.baseAddress, bytes.count >= WireLayout.headerBytes else { throw .short }
        var reader = ByteReader(base: base, end: bytes.count)
        guard try reader.uint16() == WireLayout.magic else { throw .magic }
        guard try reader.uint8() >> 4 == ProtocolVersion.major else { throw .version }
        // Flags: none has a meaning yet.
        _ = try reader.uint8()
        let cluster = ClusterID(rawValue: try reader.uint64())
        let sender = try reader.knownNodeID()

        var messages: [Message] = []
        let frames = try frames(from: reader)
        messages.reserveCapacity(min(frames, 16))
        var budget = PacketBudget(frames: frames)
        var skipped = Skipped()
        while !reader.isAtEnd {
            let code = try reader.uint8()
            var body = try reader.frame()
            guard let kind = MessageKind(rawValue: code) else {
                skipped.unknownKinds += 1
                continue
            }
            if kind == .rows {
                try body.rows(into: &messages, &budget)
            } else if let message = try body.message(kind, &skipped) {
                messages.append(message)
            } else {
                skipped.unknownValues += 1
            }
        }
        return DecodedPacket(
            packet: Packet(cluster: cluster, sender: sender, messages: messages), skipped: skipped)
    }

    package static func decode(_ bytes: [UInt8]) throws(DecodeFailure) -> DecodedPacket {
        let outcome = bytes.withUnsafeBytes { raw in
            Result { () throws(DecodeFailure) in try decode(raw) }
        }
        return try outcome.get()
    }

    /// How many messages follow; walks their frames once, so that a broken packet is refused before any allocation.
    private static func frames(from reader: ByteReader) throws(DecodeFailure) -> Int {
        var reader = reader
        var count = 0
        while !reader.isAtEnd {
            count += 1
            guard count <= Bounds.messagesPerPacketMax else { throw .tooManyMessages }
            _ = try reader.uint8()
            _ = try reader.frame()
        }
        return count
    }
}

extension ByteSink {
    @inline(__always)
    mutating func put(_ message: borrowing Message) {
        put(MessageKind.of(message).rawValue)
        let mark = openFrame()
        switch message {
        case .ping(let ping): put(ping)
        case .ack(let ack): put(ack)
        case .indirectPing(let request): put(request)
        case .nack(let nack): put(nack.sequence)
        case .update(let update): put(update)
        case .digest(let digest): put(digest)
        case .row(let row): put(row)
        case .announcement(let dots): put(dots)
        case .memberTable(let part): put(part)
        case .floorMark(let mark): put(mark)
        case .confirmRequest(let request): put(request)
        case .confirmed(let id): put(id)
        case .collectRequest(let request): put(request)
        case .collectAnswer(let answer): put(answer)
        case .floor(let floor): put(floor)
        case .coordinate(let place): put(place)
        case .viewRequest(let id): put(id)
        case .viewAnswer(let answer): put(answer)
        case .padding(let count): put(padding: count)
        case .keyRing(let ring): put(ring)
        case .ringMark(let mark): put(mark)
        case .storeRequest(let request): put(request)
        case .storeComplete(let context): put(context)
        case .storeBatchEnd, .storeContinue: break
        case .rowRequest(let dots): put(dots)
        case .ranges(let message): put(message)
        case .userEvent(let notice): put(notice)
        case .userEventMarks(let marks): put(marks)
        case .sentinel(let sentinel): put(sentinel.rawValue)
        case .strict(let message): put(message)
        case .strictMark(let mark): put(mark)
        }
        closeFrame(mark)
    }
}

extension ByteReader {
    /// nil: the message holds a value that this version does not know.
    @inline(__always)
    fileprivate mutating func message(
        _ kind: MessageKind, _ skipped: inout Skipped
    ) throws(DecodeFailure) -> Message? {
        switch kind {
        case .ping: .ping(try ping())
        case .ack: .ack(try ack())
        case .indirectPing: try indirectPing().map { .indirectPing($0) }
        case .nack: .nack(Nack(sequence: try uint32()))
        case .update: try update().map { .update($0) }
        case .digest: .digest(try digest())
        case .digestWithFloor: .digest(try digestWithFloor())
        case .row: try row().map { .row($0) }
        case .announcement: .announcement(try dots())
        case .memberTable: try memberTable(&skipped).map { .memberTable($0) }
        case .floorMark: .floorMark(try uint64())
        case .confirmRequest: .confirmRequest(try confirmRequest())
        case .confirmed: .confirmed(try uint32())
        case .collectRequest: .collectRequest(try collectRequest())
        case .collectAnswer: .collectAnswer(try collectAnswer())
        case .floor: .floor(try floor())
        case .coordinate: .coordinate(try coordinate())
        case .viewRequest: .viewRequest(try uint32())
        case .viewAnswer: try viewAnswer().map { .viewAnswer($0) }
        case .padding: .padding(try padding())
        case .keyRing: .keyRing(try keyRing())
        case .ringMark: .ringMark(try uint64())
        case .storeRequest: .storeRequest(try storeRequest())
        case .storeComplete: .storeComplete(try context())
        case .storeBatchEnd: .storeBatchEnd
        case .storeContinue: .storeContinue
        case .rowRequest: .rowRequest(try dots())
        case .ranges: try ranges().map { .ranges($0) }
        case .userEvent: .userEvent(try userEvent())
        case .userEventMarks: .userEventMarks(try userEventMarks())
        case .sentinel: Sentinel(rawValue: try uint8()).map { .sentinel($0) }
        case .strict: try strictMessage().map { .strict($0) }
        case .strictMark: .strictMark(try strictMark())
        // Several messages: `rows(into:)` reads them.
        case .rows: nil
        }
    }
}

extension MessageKind {
    fileprivate static func of(_ message: borrowing Message) -> MessageKind {
        switch message {
        case .ping: .ping
        case .ack: .ack
        case .indirectPing: .indirectPing
        case .nack: .nack
        case .update: .update
        case .digest(let digest): digest.floor == 0 ? .digest : .digestWithFloor
        case .row: .row
        case .announcement: .announcement
        case .floorMark: .floorMark
        case .confirmRequest: .confirmRequest
        case .confirmed: .confirmed
        case .collectRequest: .collectRequest
        case .collectAnswer: .collectAnswer
        case .floor: .floor
        case .coordinate: .coordinate
        case .viewRequest: .viewRequest
        case .viewAnswer: .viewAnswer
        case .padding: .padding
        case .keyRing: .keyRing
        case .ringMark: .ringMark
        case .rowRequest: .rowRequest
        case .ranges: .ranges
        case .userEvent: .userEvent
        case .userEventMarks: .userEventMarks
        case .sentinel: .sentinel
        case .strict: .strict
        case .strictMark: .strictMark
        case .memberTable: .memberTable
        case .storeRequest: .storeRequest
        case .storeComplete: .storeComplete
        case .storeBatchEnd: .storeBatchEnd
        case .storeContinue: .storeContinue
        }
    }
}
