// SPDX-License-Identifier: Apache-2.0
// Owns the bytes of an answer: kept in sessions, and sent back to the node that asked.

import ClusterTypes
import RaftCore

extension StrictAnswer {
    private enum Code: UInt8 {
        case session = 1
        case sessionsEnded, put, deleted, transaction, lease, leaseEnded, locked, waiting, busy, released, refused,
            raised
        case reissued
    }

    /// One byte of code, then its fields as in a command.
    package var encoded: [UInt8] {
        var writer = FieldWriter()
        func put(_ code: Code) { writer.put(code.rawValue) }
        func put(_ code: Code, _ number: UInt64) {
            put(code)
            writer.put(varint: number)
        }
        func put(_ code: Code, _ flag: Bool) {
            put(code)
            writer.put(flag)
        }
        switch self {
        case .session(let id): put(.session, id)
        case .sessionsEnded(let count): put(.sessionsEnded, count)
        case .put(let version, let modified):
            put(.put, version)
            writer.put(varint: modified)
        case .deleted(let wasThere): put(.deleted, wasThere)
        case .transaction(let succeeded, let results):
            put(.transaction, succeeded)
            writer.put(count: results.count)
            for result in results { result.write(to: &writer) }
        case .lease(let id, let milliseconds):
            put(.lease, id)
            writer.put(varint: milliseconds)
        case .leaseEnded(let isEnded): put(.leaseEnded, isEnded)
        case .locked(let token): put(.locked, token)
        case .waiting(let ahead): put(.waiting, ahead)
        case .busy(let token): put(.busy, token)
        case .released(let wasThere): put(.released, wasThere)
        case .refused(let refusal):
            put(.refused)
            writer.put(refusal.rawValue)
        case .raised(let revision): put(.raised, revision)
        case .reissued(let count): put(.reissued, count)
        }
        return writer.bytes
    }

    package init(encoded bytes: [UInt8]) throws(StrictDecodeFailure) {
        guard bytes.count <= StrictBounds.answerBytesMax else { throw .bounds }
        var reader = FieldReader(bytes)
        guard let code = Code(rawValue: try reader.byte()) else { throw .code }
        switch code {
        case .session: self = .session(try reader.varint())
        case .sessionsEnded: self = .sessionsEnded(try reader.varint())
        case .put: self = .put(version: try reader.varint(), modified: try reader.varint())
        case .deleted: self = .deleted(try reader.flag())
        case .transaction:
            let succeeded = try reader.flag()
            let count = try reader.count(max: StrictBounds.transactionStepsMax, elementBytesMin: 2)
            var results: [StrictResult] = []
            for _ in 0..<count { results.append(try StrictResult(from: &reader)) }
            self = .transaction(succeeded: succeeded, results: results)
        case .lease: self = .lease(try reader.varint(), milliseconds: try reader.varint())
        case .leaseEnded: self = .leaseEnded(try reader.flag())
        case .locked: self = .locked(token: try reader.varint())
        case .waiting: self = .waiting(ahead: try reader.varint())
        case .busy: self = .busy(token: try reader.varint())
        case .released: self = .released(try reader.flag())
        case .refused:
            guard let refusal = StrictRefusal(rawValue: try reader.byte()) else { throw .code }
            self = .refused(refusal)
        case .raised: self = .raised(to: try reader.varint())
        case .reissued: self = .reissued(try reader.varint())
        }
        try reader.finish()
    }
}

extension StrictResult {
    private enum Code: UInt8 {
        case put = 1
        case deleted, got
    }

    func write(to writer: inout FieldWriter) {
        switch self {
        case .put(let version):
            writer.put(Code.put.rawValue)
            writer.put(varint: version)
        case .deleted(let wasThere):
            writer.put(Code.deleted.rawValue)
            writer.put(wasThere)
        case .got(let entry):
            writer.put(Code.got.rawValue)
            writer.put(entry != nil)
            entry?.write(to: &writer)
        }
    }

    init(from reader: inout FieldReader) throws(StrictDecodeFailure) {
        guard let code = Code(rawValue: try reader.byte()) else { throw .code }
        switch code {
        case .put: self = .put(version: try reader.varint())
        case .deleted: self = .deleted(try reader.flag())
        case .got: self = .got(try reader.flag() ? try StrictEntry(from: &reader) : nil)
        }
    }
}

extension StrictEntry {
    /// The most that an entry takes beside its value: five numbers.
    static let overheadBytesMax = 50

    /// Created, modified, version, lease, counted value.
    func write(to writer: inout FieldWriter) {
        writer.put(varint: created)
        writer.put(varint: modified)
        writer.put(varint: version)
        writer.put(varint: lease)
        writer.put(counted: value)
    }

    init(from reader: inout FieldReader) throws(StrictDecodeFailure) {
        created = try reader.varint()
        modified = try reader.varint()
        version = try reader.varint()
        lease = try reader.varint()
        value = try reader.counted(max: Bounds.valueBytesMax)
    }
}
