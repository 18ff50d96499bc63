// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and delivery: this host, the fleet, plans, applications.

import AdminModel
import AdminServer
import Delivery
import NodeKernel
import StoreCore

extension KernelNode {
    func renderStatus() async throws(AdminFailure) -> RenderStatusDocument { await delivery.status() }

    func renderPlan(_ names: [String]) async throws(AdminFailure) -> RenderPlanDocument {
        try await delivery.plan(names)
    }

    func renderApply(_ names: [String]) async throws(AdminFailure) -> RenderApplyDocument {
        try await delivery.apply(names)
    }

    func renderFleet() async throws(AdminFailure) -> RenderFleetDocument {
        let members = try await members(MemberFilter()).members
        var reports: [String: (report: RenderReport, at: Timestamp)] = [:]
        for document in try await list(try KeyPrefix(RenderReport.prefix), ReadOptions(.local)).entries {
            let id = String(document.key.dropFirst(RenderReport.prefix.count))
            // A newer daemon may have written what this one cannot read.
            guard case .register(let bytes) = document.content, let writtenAt = document.writtenAt,
                let report = try? AdminJSON.decode(RenderReport.self, from: bytes)
            else { continue }
            reports[id] = (report, writtenAt)
        }
        return RenderFleetDocument(members: members, reports: reports)
    }

    /// Removes what a member that is forgotten has told of its files, if it has.
    func withdrawReport(of id: String) async {
        let options = WriteOptions(reason: "the member was forgotten")
        // Without such a key there is nothing to do; without a disk to write to it stays, and shows nowhere.
        _ = await perform(.write([.delete(key: RenderReport.prefix + id)], options))
    }

    func renderFindings() async -> [DoctorDocument.Finding] {
        await delivery.status().files.filter(\.state.isTrouble).map { file in
            let word =
                switch file.state {
                case .refused: "was refused"
                case .rolledBack: "was rolled back"
                case .failed, .ok, .pending, .unknown: "cannot be delivered"
                }
            var evidence = ["file": file.name]
            evidence["destination"] = file.destination
            evidence["since"] = file.errorSince?.description
            return DoctorDocument.Finding(
                .error, code: "render_\(file.state.rawValue)",
                summary: "file \(file.name) \(word): \(file.error ?? "")",
                advice: "see gossipctl render plan \(file.name); the former content is still in place",
                evidence: evidence)
        }
    }
}
