// SPDX-License-Identifier: Apache-2.0
// Owns the promise that each line of the helper's log is an event with its fields.

import SystemdSupport
import Testing

@testable import Delivery
@testable import gossipd_apply

@Suite("Lines of the helper's log")
struct HelperLineTests {
    private static func file(_ outcome: ApplyAnswer.Outcome, _ reason: String? = nil) -> HelperLine {
        HelperLine(.file(ApplyAnswer.File(name: "a", outcome: outcome, reason: reason, version: "v")))
    }

    @Test("Each outcome is a kind of its own, with file, outcome, version and reason")
    func files() {
        #expect(
            Self.file(.applied)
                == HelperLine(
                    .helperApplied, "file a is in place", ["file": "a", "outcome": "applied", "version": "v"]))
        #expect(
            Self.file(.refused, "it is empty")
                == HelperLine(
                    .helperRefused, "file a was refused: it is empty",
                    ["file": "a", "outcome": "refused", "version": "v", "reason": "it is empty"]))
        #expect(Self.file(.applied, "why").kind == .helperIncomplete)
        #expect(Self.file(.failed, "why").kind == .helperFailed)
        #expect(Self.file(.rolledBack, "why").kind == .helperRolledBack)
    }

    @Test("A reload, a connection and a description have their fields, too")
    func others() {
        let reload = ApplyAnswer.Reload(target: "unit a.service", files: ["a", "b"])
        #expect(
            HelperLine(.reload(reload))
                == HelperLine(
                    .helperReloaded, "reloaded unit a.service", ["target": "unit a.service", "files": "a b"]))
        let former = ApplyAnswer.Reload(target: "unit a.service", files: ["a"], isWithFormer: true)
        #expect(HelperLine(.reload(former)).message == "reloaded unit a.service with the former content")
        let failed = HelperLine(.reload(ApplyAnswer.Reload(target: "unit a.service", files: ["a"], failure: "no")))
        #expect(failed.kind == .helperReloadFailed && failed.fields["reason"] == "no")
        #expect(HelperLine(.turnedAway("who")).kind == .helperTurnedAway)
        let problem = HelperLine(RenderProblem(name: "a", sentence: "a.toml:1: mode: no"))
        #expect(
            problem.kind == .helperDescriptionInvalid
                && problem.fields == ["file": "a", "reason": "a.toml:1: mode: no"])
    }

    @Test("The kinds of the helper begin with its name, so that one filter finds them")
    func names() {
        #expect(EventKind.allCases.count { $0.rawValue.hasPrefix("helper_") } == 10)
    }
}
