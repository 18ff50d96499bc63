// SPDX-License-Identifier: Apache-2.0
// Owns the endpoints of delivery: how files stand here and in the fleet, what would change, apply now.

import AdminModel

extension RouteTable {
    /// Plans and applications are for administrators alone: contents may be secret, and a check runs programs.
    static let render: [Route] = [
        Route(.get, "/v1/render/status", .read, query: ["fleet"]) { request async throws(AdminFailure) in
            guard try request.flag("fleet") else { return try .json(try await request.node.renderStatus()) }
            return try .json(try await request.node.renderFleet())
        },
        Route(.post, "/v1/render/plan", .admin, patience: AdminLimits.renderApplyMax) {
            request async throws(AdminFailure) in
            try .json(try await request.node.renderPlan(try request.renderNames()))
        },
        Route(.post, "/v1/render/apply", .admin, patience: AdminLimits.renderApplyMax) {
            request async throws(AdminFailure) in
            try .json(try await request.node.renderApply(try request.renderNames()))
        },
    ]
}

extension RequestContext {
    /// The names in the body; none when there is no body.
    fileprivate func renderNames() throws(AdminFailure) -> [String] {
        body.isEmpty ? [] : try decode(RenderRequest.self).validated()
    }
}
