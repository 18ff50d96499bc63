// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl doctor`.

import AdminClient
import AdminModel
import ArgumentParser

struct DoctorCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Say what is wrong with this node and its cluster, and what to do.",
        discussion: """
            Asks up to 64 members over UDP (small and full datagrams) and TCP, and what they think of this node; that takes \
            two seconds when one does not answer. --output json also lists what each answered. Exits with 1 when there is an error; warnings alone are no failure.

            EXAMPLES
              gossipctl doctor
              gossipctl --output json doctor
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let document = try await client.doctor()
        try show(document, on: terminal) { Self.render($0, terminal) }
        let errors = document.findings.count { $0.severity == .error }
        guard errors == 0 else {
            throw AdminFailure(.internalError, "\(errors) \(errors == 1 ? "error needs" : "errors need") attention")
        }
    }

    static func render(_ document: DoctorDocument, _ terminal: Terminal) -> String {
        guard !document.findings.isEmpty else { return "nothing to report\n" }
        return document.findings.map { finding in
            let colour: Colour =
                switch finding.severity {
                case .ok: .green
                case .warning: .yellow
                case .error: .red
                }
            let word = finding.severity.rawValue
            let padding = String(repeating: " ", count: 9 - word.count)
            var text = (terminal.colours ? colour.paint(word) : word) + padding
            text += "\(finding.summary.printable) (\(finding.code.printable))\n"
            let indent = String(repeating: " ", count: 9)
            for (name, value) in finding.evidence.sorted(by: { $0.key < $1.key }) {
                text += indent + "\(name.printable): \(value.printable)\n"
            }
            if !finding.advice.isEmpty { text += indent + "-> \(finding.advice.printable)\n" }
            return text
        }.joined()
    }
}
