// SPDX-License-Identifier: Apache-2.0
// Owns looking templates over without any data: what is wrong with them before a key is there.

import Glibc

extension Renderer {
    /// What looking templates over has found.
    package struct TemplateReport: Hashable, Sendable {
        /// In order of the descriptions.
        package var problems: [RenderProblem] = []
        /// Templates that were read and parsed, whether they are good or not.
        package var read = 0
        /// Why templates were not parsed although there are some; nil when they were.
        package var warning: String?
    }

    /// Reads and parses the templates of `specs`; it blocks, for each at most as long as rendering may take.
    ///
    /// A template is held against the names that its description declares; whether keys are there, and which tags members
    /// have, is known only when it is rendered.
    ///
    /// - Parameter folder: of the descriptions, for sentences.
    package func check(_ specs: [RenderSpec], in folder: String) -> TemplateReport {
        var report = TemplateReport()
        let isThere = access(program, X_OK) == 0
        for spec in specs {
            do throws(DeliveryFailure) {
                let template: (name: String, text: String)
                switch spec.source {
                case .key: continue
                case .template(let text): template = ("template_text", text)
                case .templateFile(let path): template = ("template \(path)", try Self.readTemplate(path))
                }
                guard isThere else {
                    report.warning =
                        "the templates were not parsed: \(program) is not there or cannot be run; it comes with gossipd's"
                        + " package"
                    continue
                }
                report.read += 1
                let job = RenderJob(template: template.text, values: spec.sampleValues, isCheckOnly: true)
                _ = try run(job, called: template.name)
            } catch {
                let file = folder + (folder.hasSuffix("/") ? "" : "/") + spec.name + ".toml"
                report.problems.append(RenderProblem(name: spec.name, sentence: "\(file): \(error.sentence)"))
            }
        }
        return report
    }
}

extension RenderSpec {
    /// Something for each name: of the kind that it will be, a list with one element that has all fields.
    var sampleValues: [String: RenderValue] {
        inputs.mapValues { input in
            switch input {
            case .key: .text("x")
            case .prefix: Self.sampleList("prefixes")
            case .set: Self.sampleList("sets")
            case .members: Self.sampleList("members")
            }
        }
    }

    private static func sampleList(_ table: String) -> RenderValue {
        var element: [String: RenderValue] = [:]
        for field in RenderRules.fields[table] ?? [] {
            element[field] =
                switch field {
                case "first", "last": .flag(true)
                case "tags": .table([:])
                default: .text("x")
                }
        }
        return .list([.table(element)])
    }
}
