// SPDX-License-Identifier: Apache-2.0
// Owns the bytes of a command: what a log entry holds, what a client's node forwards to the leader.

import ClusterTypes
import RaftCore

extension StrictCommand {
    /// Raised with every new code, rule or bound: a replica that does not know it stops instead of going its own way.
    /// 1 had neither `raiseVersions` nor `reissue`, and two steps less in a transaction; 2 had no leases that end with their keys, and
    /// refused commands when there was no room for answers.
    package static let formatVersion: UInt8 = 3

    /// offset  bytes
    /// 0       1      format, 3
    /// 1       1      1: a session's stamp follows the time; 0: none
    /// 2       v      time, milliseconds (v: LEB128, shortest form)
    ///         3v     session, sequence, answered through
    ///         1      code of the operation, then its fields: numbers v, keys and values v-counted, flags 1
    package var encoded: [UInt8] {
        var writer = FieldWriter()
        writer.put(Self.formatVersion)
        writer.put(session != nil)
        writer.put(varint: time)
        if let session {
            writer.put(varint: session.session)
            writer.put(varint: session.sequence)
            writer.put(varint: session.answeredThrough)
        }
        operation.write(to: &writer)
        return writer.bytes
    }

    /// - Throws: `unknownFormat` for what a later program wrote; any other case for what no program writes.
    package init(encoded bytes: [UInt8]) throws(StrictDecodeFailure) {
        guard bytes.count <= StrictBounds.commandBytesMax else { throw .bounds }
        var reader = FieldReader(bytes)
        let format = try reader.byte()
        guard format == Self.formatVersion else { throw .unknownFormat(format) }
        let isStamped = try reader.flag()
        time = try reader.varint()
        if isStamped {
            session = SessionStamp(
                session: try reader.varint(), sequence: try reader.varint(), answeredThrough: try reader.varint())
        }
        operation = try StrictOperation(from: &reader)
        try reader.finish()
    }
}

extension StrictOperation {
    private enum Code: UInt8 {
        case registerSession = 1
        case endSession, expireSessions, put, delete, transaction, grantLease, keepAlive, revoke, expireLease, acquire
        case release, raiseVersions, reissue
    }

    func write(to writer: inout FieldWriter) {
        func put(_ code: Code) { writer.put(code.rawValue) }
        switch self {
        case .registerSession: put(.registerSession)
        case .endSession(let id):
            put(.endSession)
            writer.put(varint: id)
        case .expireSessions(let idle):
            put(.expireSessions)
            writer.put(varint: idle)
        case .put(let key, let value, let lease):
            put(.put)
            writer.put(key)
            writer.put(counted: value)
            writer.put(varint: lease)
        case .delete(let key):
            put(.delete)
            writer.put(key)
        case .transaction(let transaction):
            put(.transaction)
            transaction.write(to: &writer)
        case .grantLease(let milliseconds, let endsWithKeys):
            put(.grantLease)
            writer.put(varint: milliseconds)
            writer.put(endsWithKeys)
        case .keepAlive(let lease):
            put(.keepAlive)
            writer.put(varint: lease)
        case .revoke(let lease):
            put(.revoke)
            writer.put(varint: lease)
        case .expireLease(let lease, let before):
            put(.expireLease)
            writer.put(varint: lease)
            writer.put(varint: before)
        case .acquire(let lock, let lease, let mayWait):
            put(.acquire)
            writer.put(lock)
            writer.put(varint: lease)
            writer.put(mayWait)
        case .release(let lock, let lease):
            put(.release)
            writer.put(lock)
            writer.put(varint: lease)
        case .raiseVersions(let above, let step):
            put(.raiseVersions)
            writer.put(varint: above)
            writer.put(varint: step)
        case .reissue(let keys):
            put(.reissue)
            writer.put(count: keys.count)
            for key in keys { writer.put(key) }
        }
    }

    init(from reader: inout FieldReader) throws(StrictDecodeFailure) {
        guard let code = Code(rawValue: try reader.byte()) else { throw .code }
        self =
            switch code {
            case .registerSession: .registerSession
            case .endSession: .endSession(try reader.varint())
            case .expireSessions: .expireSessions(idle: try reader.varint())
            case .put:
                .put(
                    try reader.key(), value: try reader.counted(max: Bounds.valueBytesMax), lease: try reader.varint())
            case .delete: .delete(try reader.key())
            case .transaction: .transaction(try StrictTransaction(from: &reader))
            case .grantLease: .grantLease(milliseconds: try reader.varint(), endsWithKeys: try reader.flag())
            case .keepAlive: .keepAlive(try reader.varint())
            case .revoke: .revoke(try reader.varint())
            case .expireLease: .expireLease(try reader.varint(), ifRenewedBefore: try reader.varint())
            case .acquire:
                .acquire(lock: try reader.key(), lease: try reader.varint(), mayWait: try reader.flag())
            case .release: .release(lock: try reader.key(), lease: try reader.varint())
            case .raiseVersions: .raiseVersions(above: try reader.varint(), by: try reader.varint())
            case .reissue: .reissue(try Self.ascendingKeys(from: &reader))
            }
    }

    private static func ascendingKeys(from reader: inout FieldReader) throws(StrictDecodeFailure) -> [StrictKey] {
        let count = try reader.count(max: StrictBounds.reissuedKeysMax, elementBytesMin: 2)
        var keys: [StrictKey] = []
        for _ in 0..<count {
            let key = try reader.key()
            if let last = keys.last, !(last < key) { throw .order }
            keys.append(key)
        }
        return keys
    }
}

extension StrictTransaction {
    func write(to writer: inout FieldWriter) {
        writer.put(count: compares.count)
        for compare in compares { compare.write(to: &writer) }
        for branch in [then, otherwise] {
            writer.put(count: branch.count)
            for step in branch { step.write(to: &writer) }
        }
    }

    init(from reader: inout FieldReader) throws(StrictDecodeFailure) {
        let max = StrictBounds.transactionStepsMax
        // The shortest of each: code, count of the key, one letter (and a number).
        let compareCount = try reader.count(max: max, elementBytesMin: 4)
        compares = []
        for _ in 0..<compareCount { compares.append(try StrictCompare(from: &reader)) }
        then = []
        let thenCount = try reader.count(max: max, elementBytesMin: 3)
        for _ in 0..<thenCount { then.append(try StrictStep(from: &reader)) }
        otherwise = []
        let otherwiseCount = try reader.count(max: max, elementBytesMin: 3)
        for _ in 0..<otherwiseCount { otherwise.append(try StrictStep(from: &reader)) }
    }
}

extension StrictCompare {
    private enum Code: UInt8 {
        case exists = 1
        case version, modified, value, lease, holds
    }

    func write(to writer: inout FieldWriter) {
        func put(_ code: Code, _ key: StrictKey) {
            writer.put(code.rawValue)
            writer.put(key)
        }
        switch self {
        case .exists(let key, let isThere):
            put(.exists, key)
            writer.put(isThere)
        case .version(let key, let version):
            put(.version, key)
            writer.put(varint: version)
        case .modified(let key, let index):
            put(.modified, key)
            writer.put(varint: index)
        case .value(let key, let value):
            put(.value, key)
            writer.put(counted: value)
        case .lease(let key, let lease):
            put(.lease, key)
            writer.put(varint: lease)
        case .holds(let lock, let token):
            put(.holds, lock)
            writer.put(varint: token)
        }
    }

    init(from reader: inout FieldReader) throws(StrictDecodeFailure) {
        guard let code = Code(rawValue: try reader.byte()) else { throw .code }
        let key = try reader.key()
        self =
            switch code {
            case .exists: .exists(key, try reader.flag())
            case .version: .version(key, try reader.varint())
            case .modified: .modified(key, try reader.varint())
            case .value: .value(key, try reader.counted(max: Bounds.valueBytesMax))
            case .lease: .lease(key, try reader.varint())
            case .holds: .holds(lock: key, token: try reader.varint())
            }
    }
}

extension StrictStep {
    private enum Code: UInt8 {
        case put = 1
        case delete, get
    }

    func write(to writer: inout FieldWriter) {
        switch self {
        case .put(let key, let value, let lease):
            writer.put(Code.put.rawValue)
            writer.put(key)
            writer.put(counted: value)
            writer.put(varint: lease)
        case .delete(let key):
            writer.put(Code.delete.rawValue)
            writer.put(key)
        case .get(let key):
            writer.put(Code.get.rawValue)
            writer.put(key)
        }
    }

    init(from reader: inout FieldReader) throws(StrictDecodeFailure) {
        guard let code = Code(rawValue: try reader.byte()) else { throw .code }
        let key = try reader.key()
        self =
            switch code {
            case .put:
                .put(key, value: try reader.counted(max: Bounds.valueBytesMax), lease: try reader.varint())
            case .delete: .delete(key)
            case .get: .get(key)
            }
    }
}
