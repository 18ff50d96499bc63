// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of membership messages, both ways; a table row is framed so that it can grow in later versions.

import ClusterTypes
import NodeKernel
import SWIMCore

extension ByteSink {
    @inline(__always)
    mutating func put(_ ping: Ping) {
        put(ping.sequence)
        put(ping.target)
    }

    @inline(__always)
    mutating func put(_ ack: Ack) {
        put(ack.sequence)
        let wall = min(ack.wall, WireLayout.ackWallMax)
        put(UInt16(truncatingIfNeeded: wall >> 32))
        put(UInt32(truncatingIfNeeded: wall))
    }

    mutating func put(_ request: IndirectPing) {
        put(request.sequence)
        put(request.target)
        put(request.deadlineMilliseconds)
        put(request.targetAddress)
    }

    mutating func put(_ update: MemberUpdate) {
        put(update.subject)
        put(varint: update.incarnation)
        switch update.claim {
        case .alive(let info):
            put(MemberState.alive.rawValue)
            put(info)
            put(info.proof)
        case .suspect(let by):
            put(MemberState.suspect.rawValue)
            put(by)
        case .failed(let by):
            put(MemberState.failed.rawValue)
            put(by)
        case .left(let proof):
            put(MemberState.left.rawValue)
            put(proof)
        case .forgotten(let by):
            put(MemberState.forgotten.rawValue)
            put(by)
        case .evicted(let by):
            put(WireLayout.stateEvicted)
            put(by)
        }
    }

    mutating func put(_ info: MemberInfo) {
        put(counted: info.name)
        put(info.address)
        put(info.protocolVersion)
        put(count: info.tags.count)
        for tag in info.tags {
            put(counted: tag.name)
            put(counted: tag.value)
        }
    }

    /// Comes last in what carries it; nothing when there is none.
    mutating func put(_ proof: AuthorProof?) {
        guard let proof else { return }
        put(count: AuthorProof.byteCount)
        put(raw: proof.key.bytes)
        put(raw: proof.signature)
    }

    mutating func put(_ part: MemberTablePart) {
        put(part.role.rawValue)
        put(part.isLast ? WireLayout.tableFlagLast : 0)
        put(count: part.entries.count)
        for entry in part.entries {
            let mark = openFrame()
            put(entry.id)
            put(varint: entry.incarnation)
            put(entry.isEvicted ? WireLayout.stateEvicted : entry.state.rawValue)
            put(varint: UInt64(entry.ageSeconds))
            put(entry.info)
            put(entry.info.proof)
            closeFrame(mark)
        }
    }
}

// Each returns nil when it meets a value that this version does not know.
extension ByteReader {
    @inline(__always)
    mutating func ping() throws(DecodeFailure) -> Ping {
        let sequence = try uint32()
        return Ping(sequence: sequence, target: try nodeID())
    }

    @inline(__always)
    mutating func ack() throws(DecodeFailure) -> Ack {
        let sequence = try uint32()
        let high = try uint16()
        return Ack(sequence: sequence, wall: UInt64(high) << 32 | UInt64(try uint32()))
    }

    mutating func indirectPing() throws(DecodeFailure) -> IndirectPing? {
        let sequence = try uint32()
        let target = try nodeID()
        let deadline = try uint32()
        guard let address = try address() else { return nil }
        return IndirectPing(
            sequence: sequence, target: target, targetAddress: address, deadlineMilliseconds: deadline)
    }

    mutating func update() throws(DecodeFailure) -> MemberUpdate? {
        let subject = try knownNodeID()
        let incarnation = try incarnation()
        let word = try uint8()
        if word == WireLayout.stateEvicted {
            return MemberUpdate(subject: subject, incarnation: incarnation, claim: .evicted(by: try nodeID()))
        }
        guard let state = MemberState(rawValue: word), let claim = try claim(state) else { return nil }
        return MemberUpdate(subject: subject, incarnation: incarnation, claim: claim)
    }

    private mutating func claim(_ state: MemberState) throws(DecodeFailure) -> MemberClaim? {
        switch state {
        case .alive: try provenInfo().map { .alive($0) }
        case .suspect: .suspect(by: try nodeID())
        case .failed: .failed(by: try nodeID())
        case .left: .left(try proof())
        case .forgotten: .forgotten(by: try nodeID())
        }
    }

    private mutating func incarnation() throws(DecodeFailure) -> UInt64 {
        let incarnation = try varint()
        guard incarnation <= Bounds.incarnationMax else { throw .bounds }
        return incarnation
    }

    private mutating func provenInfo() throws(DecodeFailure) -> MemberInfo? {
        guard let info = try memberInfo() else { return nil }
        return try proof().map { info.proven(by: $0) } ?? info
    }

    /// nil when nothing follows, or something of another length than a proof's, which a later version may mean.
    private mutating func proof() throws(DecodeFailure) -> AuthorProof? {
        guard !isAtEnd, try uint8() == AuthorProof.byteCount, remaining >= AuthorProof.byteCount,
            let key = AuthorKey(bytes: try bytes(count: AuthorKey.byteCount))
        else { return nil }
        return AuthorProof(key: key, signature: try bytes(count: AuthorProof.signatureByteCount))
    }

    mutating func memberInfo() throws(DecodeFailure) -> MemberInfo? {
        let name = try text(min: 1, max: Bounds.nameBytesMax)
        guard let address = try address() else { return nil }
        let version = try uint8()
        let count = try count(max: UInt64(Bounds.tagsMax), elementBytesMin: 3)
        var tags: [Tag] = []
        tags.reserveCapacity(count)
        var bytesLeft = Bounds.tagBytesMax
        for _ in 0..<count {
            let name = try text(min: 1, max: Bounds.tagNameBytesMax)
            let value = try text(min: 0, max: Bounds.tagBytesMax)
            bytesLeft -= name.utf8.count + value.utf8.count
            guard bytesLeft >= 0 else { throw .bounds }
            tags.append(Tag(name: name, value: value))
        }
        let info = MemberInfo(name: name, address: address, tags: tags, protocolVersion: version)
        // What is left to check is that no tag is named twice.
        guard info.isWithinBounds else { throw .value }
        return info
    }

    mutating func memberTable(_ skipped: inout Skipped) throws(DecodeFailure) -> MemberTablePart? {
        guard let role = MemberTablePart.Role(rawValue: try uint8()) else { return nil }
        let isLast = try uint8() & WireLayout.tableFlagLast != 0
        // A row is at least its length, an id, an incarnation and a state.
        let count = try count(max: UInt64(Bounds.membersMax), elementBytesMin: 20)
        var entries: [MemberTableEntry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            var row: ByteReader
            do { row = try frame() } catch { throw error == .short ? .truncated : error }
            if let entry = try row.memberTableEntry() {
                entries.append(entry)
            } else {
                skipped.unknownValues += 1
            }
        }
        return MemberTablePart(role: role, isLast: isLast, entries: entries)
    }

    private mutating func memberTableEntry() throws(DecodeFailure) -> MemberTableEntry? {
        let id = try knownNodeID()
        let incarnation = try incarnation()
        let word = try uint8()
        let isEvicted = word == WireLayout.stateEvicted
        guard let state = isEvicted ? .forgotten : MemberState(rawValue: word) else { return nil }
        guard let age = UInt32(exactly: try varint()) else { throw .bounds }
        guard let info = try provenInfo() else { return nil }
        return MemberTableEntry(
            id: id, incarnation: incarnation, state: state, ageSeconds: age, info: info, isEvicted: isEvicted)
    }
}
