// SPDX-License-Identifier: Apache-2.0
// Owns a host in a temporary folder: destinations, a reload that counts, an applier.

import Glibc
import Synchronization

@testable import Delivery

/// Folders `etc` and `state`, and a stand-in for systemctl that writes down what it was asked.
final class ApplyScene: Sendable {
    let folder: TestFolder
    private let specs = Mutex<[RenderSpec]>([])
    /// What is wrong with other descriptions.
    let problems = Mutex<[RenderProblem]>([])

    init() throws {
        folder = try TestFolder()
        guard mkdir(folder.path("etc"), 0o755) == 0 else { throw TestFailure("mkdir") }
        // Fails, and says so, while there is a file named `broken` that the destination's text matches.
        try folder.write(
            "systemctl",
            """
            #!/bin/sh
            cd \(folder.path)
            echo "$*" >>reloads
            if [ -e block ]; then echo $$ >blocked; sleep 60; fi
            if [ -e broken ] && grep -qrf broken etc --exclude='.*'; then echo 'it does not like it' >&2; exit 5; fi
            exit 0
            """, mode: 0o755)
    }

    var applier: Applier {
        Applier(
            Applier.Settings(stateFolder: folder.path("state"), systemctl: [folder.path("systemctl")]),
            listing: { [self] in RenderListing(specs: specs.withLock { $0 }, problems: problems.withLock { $0 }) })
    }

    /// Describes `etc/NAME`.
    @discardableResult
    func describe(_ name: String, unit: String? = nil, _ change: (inout RenderSpec) -> Void = { _ in }) -> String {
        var spec = RenderSpec(name: name, source: .template(""), destination: folder.path("etc/\(name)"))
        spec.reload = unit.map { .unit($0) }
        change(&spec)
        specs.withLock { specs in
            specs.removeAll { $0.name == name }
            specs.append(spec)
        }
        return spec.destination
    }

    func apply(_ contents: [(String, String)]) -> ApplyAnswer {
        applier.perform(Self.request(.apply, contents))
    }

    func apply(_ name: String, _ content: String) throws -> ApplyAnswer.File {
        guard let file = apply([(name, content)]).files.first else { throw TestFailure("no answer") }
        return file
    }

    func compare(_ name: String, _ content: String) throws -> ApplyAnswer.File {
        guard let file = applier.perform(Self.request(.compare, [(name, content)])).files.first else {
            throw TestFailure("no answer")
        }
        return file
    }

    static func request(_ operation: ApplyRequest.Operation, _ contents: [(String, String)]) -> ApplyRequest {
        ApplyRequest(operation, contents.map { ApplyRequest.File(name: $0.0, content: Array($0.1.utf8)) })
    }

    /// What was reloaded, a line each.
    var reloads: [String] { folder.text("reloads").split(separator: "\n").map(String.init) }
}
