// SPDX-License-Identifier: Apache-2.0
// Owns delivery on the node in memory: it tells what a test has put there.

import AdminModel
import AdminServer

extension FakeNode {
    package func renderStatus() async throws(AdminFailure) -> RenderStatusDocument {
        peek { RenderStatusDocument(directory: "/etc/gossipd/render.d", files: $0.files) }
    }

    package func renderFleet() async throws(AdminFailure) -> RenderFleetDocument { peek { $0.fleet } }

    package func renderPlan(_ names: [String]) async throws(AdminFailure) -> RenderPlanDocument {
        let files = peek { $0.plan }
        for name in names where !files.contains(where: { $0.name == name }) {
            throw AdminFailure(.notFound, "no file is named \(name.quoted)")
        }
        return RenderPlanDocument(files: files.filter { names.isEmpty || names.contains($0.name) })
    }

    package func renderApply(_ names: [String]) async throws(AdminFailure) -> RenderApplyDocument {
        peek { state in
            state.appliedNames.append(names)
            let files = state.files.filter { names.isEmpty || names.contains($0.name) }
            return RenderApplyDocument(
                files: files, changed: files.filter { $0.state == .ok }.map(\.name),
                reloads: [.init(target: "unit nginx.service", files: files.map(\.name))])
        }
    }
}
