// SPDX-License-Identifier: Apache-2.0
// Owns leases and locks for the admin API.

import AdminModel
import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

extension StrictAccess {
    func grantLease(_ ttl: Duration, _ timeout: Duration) async throws(AdminFailure) -> LeaseDocument {
        try await lease(.grantLease(milliseconds: UInt64(max(ttl, .zero) / .milliseconds(1))), timeout)
    }

    func renewLease(_ lease: LeaseID, _ timeout: Duration) async throws(AdminFailure) -> LeaseDocument {
        try await self.lease(.keepAlive(lease), timeout)
    }

    private func lease(_ operation: StrictOperation, _ timeout: Duration) async throws(AdminFailure) -> LeaseDocument {
        guard case .lease(let id, let milliseconds) = try await change(operation, timeout) else {
            throw .unexpectedReply
        }
        return LeaseDocument(lease: id, ttlMilliseconds: milliseconds)
    }

    func revokeLease(_ lease: LeaseID, _ timeout: Duration) async throws(AdminFailure) -> ReleaseDocument {
        do throws(AdminFailure) {
            guard case .leaseEnded(let ended) = try await change(.revoke(lease), timeout) else {
                throw AdminFailure.unexpectedReply
            }
            return ReleaseDocument(released: ended)
        } catch {
            // It ended before: as wanted.
            guard error.code == .notFound else { throw error }
            return ReleaseDocument(released: false)
        }
    }

    func acquireLock(
        _ name: ConfigurationKey, _ lease: LeaseID, mayWait: Bool, _ timeout: Duration
    ) async throws(AdminFailure) -> LockDocument {
        let operation = StrictOperation.acquire(lock: try Self.name(name), lease: lease, mayWait: mayWait)
        let name = name.description
        switch try await change(operation, timeout) {
        case .locked(let token): return LockDocument(name: name, state: .held, token: token)
        case .waiting(let ahead): return LockDocument(name: name, state: .waiting, ahead: ahead)
        case .busy(let token): return LockDocument(name: name, state: .busy, token: token)
        default: throw .unexpectedReply
        }
    }

    func releaseLock(
        _ name: ConfigurationKey, _ lease: LeaseID, _ timeout: Duration
    ) async throws(AdminFailure) -> ReleaseDocument {
        let operation = StrictOperation.release(lock: try Self.name(name), lease: lease)
        guard case .released(let released) = try await change(operation, timeout) else { throw .unexpectedReply }
        return ReleaseDocument(released: released)
    }

    func lock(_ name: ConfigurationKey, _ lease: LeaseID, _ timeout: Duration) async throws(AdminFailure)
        -> LockDocument
    {
        guard case .found(.lock(let lock), at: _) = try await ask(.read(.lock(try Self.name(name))), timeout) else {
            throw .unexpectedReply
        }
        return Self.document(name.description, lock, lease)
    }

    static func document(_ name: String, _ lock: StrictLock?, _ lease: LeaseID) -> LockDocument {
        guard let lock else { return LockDocument(name: name, state: .free) }
        let token = lock.holder.token
        if lock.holder.lease == lease { return LockDocument(name: name, state: .held, token: token) }
        guard let place = lock.waiting.firstIndex(where: { $0.lease == lease }) else {
            return LockDocument(name: name, state: .busy, token: token)
        }
        return LockDocument(name: name, state: .waiting, token: token, ahead: UInt64(place) + 1)
    }

    func locks(
        after: ConfigurationKey?, limit: Int, _ timeout: Duration
    ) async throws(AdminFailure) -> LockListDocument {
        let start = try after.map { key throws(AdminFailure) in try Self.name(key) }
        guard case .found(.locks(let held), at: _) = try await ask(.read(.locks(after: start, limit: limit)), timeout)
        else { throw .unexpectedReply }
        let entries = held.map { held in
            LockListDocument.Entry(
                name: held.name.text, token: held.lock.holder.token, lease: held.lock.holder.lease,
                waiting: held.lock.waiting.count)
        }
        return LockListDocument(locks: entries, next: held.count >= limit ? held.last?.name.text : nil)
    }
}
