// SPDX-License-Identifier: Apache-2.0
// Owns the endpoints of the keys that seal packets. A key comes in as the body alone, and never goes out.

import AdminModel

extension RouteTable {
    static let sealKeys: [Route] = [
        Route(.get, "/v1/keys", .read) { request async throws(AdminFailure) in
            try .json(try await request.node.sealKeys())
        },
        Route(.post, "/v1/keys", .admin) { request async throws(AdminFailure) in
            // Longer than a key with some white space: somebody has sent something else.
            guard (1...AdminLimits.sealKeyBytesMax).contains(request.body.count) else {
                throw AdminFailure(.badRequest, "the body is not a key: send one line of base64, 44 characters")
            }
            return try .json(try await request.node.installKey(request.body))
        },
        Route(.post, "/v1/keys/{id}/use", .admin) { request async throws(AdminFailure) in
            try .json(try await request.node.useKey(try request.sealKey()))
        },
        Route(.post, "/v1/keys/{id}/retire", .admin) { request async throws(AdminFailure) in
            try .json(try await request.node.retireKey(try request.sealKey()))
        },
    ]
}

extension RequestContext {
    /// `{id}`
    fileprivate func sealKey() throws(AdminFailure) -> SealKeyReference { try SealKeyReference(parameter) }
}
