// SPDX-License-Identifier: Apache-2.0
// Owns rendering a template that was checked, by the library, as plain text.

import Delivery
import Mustache

enum TemplateText {
    /// The library escapes for HTML unless a template says otherwise; on a line of its own this leaves no trace.
    private static let pragma = "{{% CONTENT_TYPE: TEXT}}\n"

    static func outcome(of job: RenderJob) -> RenderOutcome {
        guard job.template.utf8.count <= RenderBounds.templateBytesMax else {
            return RenderOutcome(error: "the template is larger than \(RenderBounds.templateBytesMax >> 20) MiB")
        }
        let nodes: [TemplateNode]
        do throws(TemplateError) {
            nodes = try TemplateTags.read(job.template)
        } catch {
            return RenderOutcome(error: error.sentence)
        }
        let isCheckOnly = job.isCheckOnly ?? false
        if let problem = TemplateCheck.problem(nodes, job.values, isRendered: !isCheckOnly) {
            return RenderOutcome(error: problem)
        }
        let text: String
        do {
            let template = try MustacheTemplate(string: pragma + job.template)
            text = isCheckOnly ? "" : template.render(TemplateTable(fields: job.values))
        } catch let error as MustacheTemplate.ParserError {
            // The tags were read already. What is left is a text that ends in half a delimiter, such as "{".
            let place = error.context
            return RenderOutcome(
                error: "line \(max(1, place.lineNumber - 1)), column \(place.columnNumber): the template ends in what"
                    + " may begin a tag: put a line feed behind it (\(error.error))")
        } catch {
            return RenderOutcome(error: "the template cannot be read: \(error)")
        }
        guard text.utf8.count <= RenderBounds.textBytesMax else {
            return RenderOutcome(error: "the result is larger than \(RenderBounds.textBytesMax >> 20) MiB")
        }
        return RenderOutcome(text: text)
    }
}

/// A text as the library takes it: false when it is empty, without children.
private struct TemplateString: MustacheCustomRenderable, MustacheParent {
    let renderText: String
    var isNull: Bool { renderText.isEmpty }

    func child(named: String) -> Any? { nil }
}

/// A table as the library takes it. As a variable it is its `value`, so that `{{.}}` is a set's element.
private struct TemplateTable: MustacheCustomRenderable, MustacheParent {
    let fields: [String: RenderValue]

    var renderText: String { RenderValue.table(fields).shown ?? "" }
    var isNull: Bool { false }

    func child(named name: String) -> Any? { fields[name].map(\.forLibrary) }
}

extension RenderValue {
    fileprivate var forLibrary: Any {
        switch self {
        case .text(let text): TemplateString(renderText: text)
        case .flag(let flag): flag
        case .list(let elements): elements.map(\.forLibrary)
        case .table(let fields): TemplateTable(fields: fields)
        }
    }
}
