// SPDX-License-Identifier: Apache-2.0
// Owns the sentences and fields of the helper's events.

import Delivery
import SystemdSupport

/// One line of the helper's log.
struct HelperLine: Hashable {
    var kind: EventKind
    var message: String
    /// Become `GOSSIPD_FILE` and so on.
    var fields: [String: String]

    init(_ kind: EventKind, _ message: String, _ fields: [String: String]) {
        self.kind = kind
        self.message = message
        self.fields = fields
    }

    init(_ notice: HelperNotice) {
        switch notice {
        case .file(let file): self.init(file)
        case .reload(let reload): self.init(reload)
        case .turnedAway(let reason):
            self.init(.helperTurnedAway, "a connection was turned away: \(reason)", ["reason": reason])
        }
    }

    init(_ problem: RenderProblem) {
        var fields = ["reason": problem.sentence]
        if !problem.name.isEmpty { fields["file"] = problem.name }
        self.init(.helperDescriptionInvalid, "a description cannot be used: \(problem.sentence)", fields)
    }

    private init(_ file: ApplyAnswer.File) {
        let (kind, words): (EventKind, String) =
            switch file.outcome {
            case .applied, .unchanged, .differs:
                file.reason == nil
                    ? (.helperApplied, "is in place") : (.helperIncomplete, "is in place, but not all is done")
            case .refused: (.helperRefused, "was refused")
            case .failed: (.helperFailed, "could not be written")
            case .rolledBack: (.helperRolledBack, "was put back")
            }
        var fields = ["file": file.name, "outcome": file.outcome.rawValue]
        fields["reason"] = file.reason
        fields["version"] = file.version
        self.init(kind, "file \(file.name) \(words)" + (file.reason.map { ": \($0)" } ?? ""), fields)
    }

    private init(_ reload: ApplyAnswer.Reload) {
        var fields = ["target": reload.target, "files": reload.files.joined(separator: " ")]
        guard let failure = reload.failure else {
            let end = reload.isWithFormer ? " with the former content" : ""
            self.init(.helperReloaded, "reloaded \(reload.target)\(end)", fields)
            return
        }
        fields["reason"] = failure
        self.init(.helperReloadFailed, "the reload of \(reload.target) failed: \(failure)", fields)
    }
}
