// SPDX-License-Identifier: Apache-2.0
// Owns making one description's file from its inputs: a key's bytes, or a template through gossipd-render.

import AdminModel
import DaemonConfig
import FoundationEssentials
import Glibc

package struct Renderer: Sendable {
    /// Where the package puts the program.
    package static let installedProgram = "/usr/lib/gossipd/gossipd-render"

    let program: String
    private let timeout: Duration

    /// - Parameters:
    ///   - program: the path of gossipd-render.
    ///   - timeout: of one template.
    package init(program: String = Renderer.defaultProgram(), timeout: Duration = .seconds(10)) {
        self.program = program
        self.timeout = timeout
    }

    /// `gossipd-render` beside the running program, else where the package puts it.
    package static func defaultProgram() -> String {
        guard let own = RenderRules.resolved("/proc/self/exe"), let slash = own.lastIndex(of: "/") else {
            return installedProgram
        }
        let beside = String(own[...slash]) + "gossipd-render"
        return access(beside, X_OK) == 0 ? beside : installedProgram
    }

    /// The new content of the description's file.
    ///
    /// - Parameter contents: of `spec.readInputs`, in their order.
    /// - Throws: `.missing` for inputs, `.template` for the template, `.file` when it cannot be read, `.command` when the
    ///   program cannot run or takes too long.
    package func render(
        _ spec: RenderSpec, _ contents: [InputContent]
    ) async throws(DeliveryFailure) -> [UInt8] {
        switch spec.source {
        case .key:
            return try spec.keyBytes(contents)
        case .template(let template):
            return try await render(template, called: "template_text of \(spec.name).toml", try spec.values(contents))
        case .templateFile(let path):
            let values = try spec.values(contents)
            return try await render(try Self.readTemplate(path), called: path, values)
        }
    }

    static func readTemplate(_ path: String) throws(DeliveryFailure) -> String {
        let bytes: [UInt8]
        do throws(FileReadFailure) {
            bytes = try FileText.read(path, sizeMax: RenderBounds.templateBytesMax + 1)
        } catch {
            throw .file("template \(path) \(error.reason)")
        }
        guard bytes.count <= RenderBounds.templateBytesMax else {
            throw .template("template \(path) is larger than 1 MiB")
        }
        guard let template = String(validating: bytes, as: UTF8.self) else {
            throw .template("template \(path) is not valid UTF-8")
        }
        return template
    }

    private func render(
        _ template: String, called name: String, _ values: [String: RenderValue]
    ) async throws(DeliveryFailure) -> [UInt8] {
        try await BlockingThread.run { () throws(DeliveryFailure) in
            Array(try run(RenderJob(template: template, values: values), called: name).utf8)
        }
    }

    /// Has the program do one job and blocks until then; the outcome's text.
    ///
    /// - Parameter name: of the template, for sentences.
    func run(_ job: RenderJob, called name: String) throws(DeliveryFailure) -> String {
        let result = try CommandRunner.run(
            [program], input: try Self.encode(job, of: name), timeout: timeout,
            output: .whole(max: RenderBounds.outcomeBytesMax),
            // A trap is answered by its status; what Swift would print about it takes seconds.
            environment: ["SWIFT_BACKTRACE=enable=no"])
        guard let outcome = try? JSONDecoder().decode(RenderOutcome.self, from: Data(result.output)) else {
            let words = result.errorText.isEmpty ? "" : ": \(LastWords.of(result.errorText))"
            throw .template("\(name): \(program) ended with status \(result.status) and no answer\(words)")
        }
        guard let text = outcome.text else {
            throw .template("\(name): \(outcome.error ?? "\(program) gave neither a text nor a reason")")
        }
        return text
    }

    private static func encode(_ job: RenderJob, of name: String) throws(DeliveryFailure) -> [UInt8] {
        guard let bytes = try? JSONEncoder().encode(job) else {
            throw .template("\(name): its data cannot be written as JSON")
        }
        guard bytes.count <= RenderBounds.jobBytesMax else {
            throw .template(
                "\(name): its data is larger than \(RenderBounds.jobBytesMax >> 20) MiB: declare a longer prefix")
        }
        return Array(bytes)
    }
}
