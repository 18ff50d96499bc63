// SPDX-License-Identifier: Apache-2.0
// Owns the endpoints of the strict group: members, leader, transactions, leases and locks.

import AdminModel

extension RouteTable {
    static let strict: [Route] = [
        Route(.get, "/v1/strict", .read) { request async throws(AdminFailure) in
            try .json(try await request.node.strictGroup())
        },
        Route(.put, "/v1/strict/members/{member}", .admin) { request async throws(AdminFailure) in
            try await request.order(.add(try request.member()))
        },
        Route(.delete, "/v1/strict/members/{member}", .admin) { request async throws(AdminFailure) in
            try await request.order(.remove(try request.member()))
        },
        Route(.post, "/v1/strict/leader", .admin) { request async throws(AdminFailure) in
            let transfer = try request.decode(StrictTransferRequest.self)
            return try await request.order(.transfer(to: transfer.to))
        },
        Route(.post, "/v1/strict/recover", .admin) { request async throws(AdminFailure) in
            let recover = try request.decode(StrictRecoverRequest.self)
            try recover.validate()
            return try await request.order(.recover(evenIfBehind: recover.evenIfBehind ?? false))
        },
        Route(.post, "/v1/txn", .admin, isBrief: true) { request async throws(AdminFailure) in
            let transaction = try request.decode(StrictTransactionRequest.self)
            try transaction.validate()
            return try .json(try await request.node.transact(transaction, timeout: try request.strictTimeout()))
        },
    ]

    static let calls: [Route] = [
        Route(.post, "/v1/calls", .admin, body: .live, isBrief: true) { request async throws(AdminFailure) in
            guard request.declaresBody else {
                throw AdminFailure(.badRequest, "the request has no body: send calls as lines of JSON")
            }
            return .calls(
                KeyCallStream(
                    request.stream, node: request.node, user: request.user, timeout: try request.strictTimeout()))
        }
    ]

    static let locks: [Route] = [
        Route(.post, "/v1/leases", .admin) { request async throws(AdminFailure) in
            let ttl = try request.decode(LeaseRequest.self).duration()
            return try .json(try await request.node.grantLease(ttl, timeout: try request.strictTimeout()))
        },
        Route(.post, "/v1/leases/{id}/renew", .admin) { request async throws(AdminFailure) in
            let lease = try LeaseText.number(request.parameter)
            return try .json(try await request.node.renewLease(lease, timeout: try request.strictTimeout()))
        },
        Route(.delete, "/v1/leases/{id}", .admin) { request async throws(AdminFailure) in
            let lease = try LeaseText.number(request.parameter)
            return try .json(try await request.node.revokeLease(lease, timeout: try request.strictTimeout()))
        },
        Route(.get, "/v1/locks", .read, query: Route.pageQuery + ["after"]) { request async throws(AdminFailure) in
            try .json(
                try await request.node.locks(
                    after: try request.optionalKey("after"), limit: try request.limit(default: AdminLimits.locksMax),
                    timeout: try request.strictTimeout()))
        },
        Route(.get, "/v1/locks/{key}", .read, query: ["lease"]) { request async throws(AdminFailure) in
            try .json(
                try await request.node.lock(
                    try request.key(), lease: try request.number("lease") ?? 0, timeout: try request.strictTimeout()))
        },
        Route(.post, "/v1/locks/{key}", .admin) { request async throws(AdminFailure) in
            let lock = try request.decode(LockRequest.self)
            return try .json(
                try await request.node.acquireLock(
                    try request.key(), lease: try LeaseText.number(lock.lease), mayWait: lock.wait ?? false,
                    timeout: try request.strictTimeout()))
        },
        Route(.delete, "/v1/locks/{key}", .admin, query: ["lease"]) { request async throws(AdminFailure) in
            guard let lease = try request.number("lease") else {
                throw AdminFailure(.badRequest, "lease is missing: say whose claim to the lock is given back")
            }
            return try .json(
                try await request.node.releaseLock(
                    try request.key(), lease: lease, timeout: try request.strictTimeout()))
        },
    ]
}

extension RequestContext {
    fileprivate func order(_ order: StrictOrderRequest) async throws(AdminFailure) -> Answer {
        try .json(try await node.orderStrict(order, timeout: try strictTimeout()))
    }
}
