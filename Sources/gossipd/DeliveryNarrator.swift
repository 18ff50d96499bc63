// SPDX-License-Identifier: Apache-2.0
// Owns the sentences of the events of delivery.

import AdminModel
import Delivery
import SystemdSupport

enum DeliveryNarrator {
    static func tell(_ event: DeliveryEvent) -> Narration {
        switch event {
        case .applied(let name, let destination, let version):
            narration(
                .renderApplied, "file \(name) has new content: \(destination)", name, destination, version: version)
        case .trouble(let status):
            trouble(status)
        case .recovered(let name, let destination):
            narration(
                .renderRecovered, "file \(name) is delivered again: \(destination)", name, destination)
        case .reloaded(let target, let files, let isWithFormer):
            reloaded(target, files, isWithFormer: isWithFormer)
        }
    }

    private static func trouble(_ status: RenderFileStatus) -> Narration {
        let (kind, word): (EventKind, String) =
            switch status.state {
            case .refused: (.renderRefused, "was refused")
            case .rolledBack: (.renderRolledBack, "was rolled back")
            case .failed, .ok, .pending, .unknown: (.renderFailed, "cannot be delivered")
            }
        let reason = status.error ?? ""
        var told = narration(
            kind, "file \(status.name) \(word): \(reason)", status.name, status.destination, version: status.version)
        told.reason = reason
        return told
    }

    private static func reloaded(_ target: String, _ files: [String], isWithFormer: Bool) -> Narration {
        let reason = isWithFormer ? "with the former content of" : "for"
        var told = Narration(
            kind: .renderReloaded, message: "reloaded \(target) \(reason) \(counted(files.count, "file"))")
        told.fields = ["target": target, "files": files.joined(separator: " ")]
        told.evidence = Evidence(details: told.fields)
        return told
    }

    private static func narration(
        _ kind: EventKind, _ message: String, _ name: String, _ destination: String?, version: String? = nil
    ) -> Narration {
        var told = Narration(kind: kind, message: message)
        told.fields["file"] = name
        told.fields["destination"] = destination
        told.fields["version"] = version
        told.evidence = Evidence(details: told.fields)
        return told
    }
}
