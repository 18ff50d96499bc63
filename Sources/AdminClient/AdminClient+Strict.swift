// SPDX-License-Identifier: Apache-2.0
// Owns the calls of the strict group: members, leader, transactions, leases, locks.

import AdminModel

extension AdminClient {
    package func strictGroup() async throws(AdminFailure) -> StrictDocument { try await get("/v1/strict") }

    package func orderStrict(_ order: StrictOrderRequest) async throws(AdminFailure) -> StrictDocument {
        switch order {
        case .add(let member):
            try await call(AdminRequest("PUT", "/v1/strict/members/" + PercentEncoding.encode(member), body: []))
        case .remove(let member):
            try await call(AdminRequest("DELETE", "/v1/strict/members/" + PercentEncoding.encode(member)))
        case .transfer(let member):
            try await call("POST", "/v1/strict/leader", StrictTransferRequest(to: member))
        case .recover(let evenIfBehind):
            try await call(
                "POST", "/v1/strict/recover",
                StrictRecoverRequest(losesWrites: true, evenIfBehind: evenIfBehind ? true : nil))
        }
    }

    /// Never sent twice: whether it was made is not known when the connection breaks.
    package func transact(
        _ transaction: StrictTransactionRequest
    ) async throws(AdminFailure) -> StrictTransactionResult {
        try await call("POST", "/v1/txn", transaction)
    }

    /// Granted twice, one of the two ends unused.
    package func grantLease(_ ttl: Duration) async throws(AdminFailure) -> LeaseDocument {
        try await call("POST", "/v1/leases", LeaseRequest(ttl: ttl), mayBeRepeated: true)
    }

    package func renewLease(_ lease: String) async throws(AdminFailure) -> LeaseDocument {
        try await call(
            AdminRequest("POST", "/v1/leases/\(PercentEncoding.encode(lease))/renew", mayBeRepeated: true))
    }

    package func revokeLease(_ lease: String) async throws(AdminFailure) -> ReleaseDocument {
        try await call(AdminRequest("DELETE", "/v1/leases/" + PercentEncoding.encode(lease), mayBeRepeated: true))
    }

    /// The same lease twice is told how things stand.
    package func acquireLock(
        _ name: ConfigurationKey, lease: String, mayWait: Bool
    ) async throws(AdminFailure) -> LockDocument {
        let request = LockRequest(lease: lease, wait: mayWait)
        return try await call("POST", "/v1/locks/" + name.pathEncoded, request, mayBeRepeated: true)
    }

    package func releaseLock(_ name: ConfigurationKey, lease: String) async throws(AdminFailure) -> ReleaseDocument {
        var query = URLQuery()
        query.add("lease", lease)
        return try await call(
            AdminRequest("DELETE", "/v1/locks/" + name.pathEncoded, query: query, mayBeRepeated: true))
    }

    package func lock(_ name: ConfigurationKey, lease: String? = nil) async throws(AdminFailure) -> LockDocument {
        var query = URLQuery()
        query.add("lease", lease)
        return try await get("/v1/locks/" + name.pathEncoded, query)
    }

    package func locks(after: String? = nil) async throws(AdminFailure) -> LockListDocument {
        var query = URLQuery()
        query.add("after", after)
        return try await get("/v1/locks", query)
    }
}
