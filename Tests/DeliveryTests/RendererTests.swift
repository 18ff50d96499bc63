// SPDX-License-Identifier: Apache-2.0
// Owns the promise that the real gossipd-render renders plain text and refuses what is not there.

import AdminModel
import Glibc
import Testing

@testable import Delivery

@Suite("Rendering with the real program", .serialized, .timeLimit(.minutes(3)))
struct RendererTests {
    /// Names: `port`, `empty`, `hosts` of a and b, `none`, `nodes` of one member with the tag role.
    private static func render(_ template: String, renderer: Renderer? = nil) async throws -> String {
        var spec = RenderSpec(name: "web", source: .template(template), destination: "/etc/a")
        spec.inputs = [
            "port": .key(try ConfigurationKey("port"), default: "80 <&> \"x\""),
            "empty": .key(try ConfigurationKey("empty"), default: ""),
            "hosts": .set(try ConfigurationKey("hosts"), default: ["a", "b"]),
            "none": .set(try ConfigurationKey("none"), default: []),
            "nodes": .members(MemberFilter()),
        ]
        let contents: [InputContent] = try spec.readInputs.map { input in
            guard case .members = input else { return .key(nil) }
            return .members([try member("n1", "[::1]:7946", tags: ["role": "web"])])
        }
        let program = try renderer ?? builtRenderer()
        return String(decoding: try await program.render(spec, contents), as: UTF8.self)
    }

    private static func refusal(_ template: String) async throws -> String {
        do {
            return "rendered: " + (try await render(template))
        } catch DeliveryFailure.template(let sentence) {
            return sentence
        }
    }

    @Test(
        "Templates become plain text",
        arguments: [
            ("no tag {\n", "no tag {\n"),
            ("{{port}} {{{port}}} {{&port}} {{ port }}.", "80 <&> \"x\" 80 <&> \"x\" 80 <&> \"x\" 80 <&> \"x\"."),
            ("{{#hosts}}{{.}}{{^last}},{{/last}}{{/hosts}}", "a,b"),
            ("x\n{{#hosts}}\n- {{value}} {{port}}\n{{/hosts}}\ny\n", "x\n- a 80 <&> \"x\"\n- b 80 <&> \"x\"\ny\n"),
            ("{{#empty}}a{{/empty}}{{^empty}}b{{/empty}}{{^none}}c{{/none}}{{#none}}{{what}}{{/none}}", "bc"),
            (
                "{{#nodes}}{{name}} {{tags.role}} {{#tags}}{{role}}{{/tags}} {{url_host}}:{{port}}{{/nodes}}",
                "n1 web web [::1]:7946"
            ),
            ("a\n{{! a comment\n of two lines }}\nb", "a\nb"),
            ("{{=<% %>=}}\n{{x}} <%empty%><%#hosts%><%.%><%/hosts%>", "{{x}} ab"),
            ("{{port}}\r\n{{#hosts}}\r\n{{.}}\r\n{{/hosts}}\r\n", "80 <&> \"x\"\r\na\r\nb\r\n"),
            ("é{{#hosts}}ü{{.}}{{/hosts}}", "éüaüb"),
        ])
    func texts(template: String, text: String) async throws {
        #expect(try await Self.render(template) == text)
    }

    @Test(
        "What is wrong is told with line and column and the template's name",
        arguments: [
            ("a\n  {{prot}}", "line 2, column 3: {{prot}} is declared nowhere"),
            ("{{#prot}}x{{/prot}}", "line 1, column 1: {{prot}} is declared nowhere"),
            ("{{^prot}}x{{/prot}}", "line 1, column 1: {{prot}} is declared nowhere"),
            ("é{{#hosts}}\n{{#nodes}}\n{{nmae}}{{/nodes}}{{/hosts}}", "line 3, column 1: {{nmae}} is declared nowhere"),
            ("{{#empty}}{{gone}}{{/empty}}", "line 1, column 11: {{gone}} is declared nowhere"),
            ("{{^hosts}}{{gone}}{{/hosts}}", "line 1, column 11: {{gone}} is declared nowhere"),
            ("{{#none}}a{{/none}}{{^none}}{{gone}}{{/none}}", "column 29: {{gone}} is declared nowhere"),
            ("{{a}} {{b}} {{a}}", "[members]; line 1, column 7: {{b}} is declared nowhere"),
            ("{{#nodes}}{{tags.zone}}{{/nodes}}", "there is no zone in a table of role"),
            ("{{port.x}}", "there is no x in a text"),
            ("{{hosts}}", "is a list, not a text"),
            ("{{.}}", "is a table, not a text"),
            ("{{#hosts}}{{^none}}{{.}}{{/none}}{{/hosts}}", "is a list, not a text"),
            ("a\n{{#hosts}}", "line 2, column 1: the section hosts is never closed"),
            ("a\n{{/hosts}}", "line 2, column 1: {{/hosts}} closes a section that is not open"),
            ("{{#hosts}}\n{{/host}}", "line 2, column 1: {{/host}} closes the section hosts of line 1"),
            ("a\nb {{port", "line 2, column 3: the tag is never closed"),
            ("{{port}", "the tag is never closed"),
            ("{{{port}} x", "has to end with }}}"),
            ("{{}}", "is no name"),
            ("{{po rt}}", "is no name"),
            ("{{.port}}", "is no name"),
            ("{{> other}}", "partials and blocks are not available"),
            ("{{uppercased(port)}}", "functions are not available"),
            ("{{=a b=}}", "delimiters are two groups"),
            ("{{% CONTENT: TEXT}}", "line 1, column"),
            ("text {", "the template ends in what may begin a tag"),
        ])
    func refusals(template: String, reason: String) async throws {
        let sentence = try await Self.refusal(template)
        #expect(sentence.hasPrefix("template_text of web.toml: line "), "\(sentence)")
        #expect(sentence.contains(reason), "\(sentence)")
    }

    @Test("Deep, endless and large templates end with a sentence")
    func bounds() async throws {
        let deep = String(repeating: "{{#port}}", count: 100_000)
        #expect(try await Self.refusal(deep).contains("sections may be at most 32 deep"))
        let nested = String(repeating: "{{#hosts}}", count: 30) + "x" + String(repeating: "{{/hosts}}", count: 30)
        #expect(try await Self.refusal(nested).contains("loop over less"))
        let wide =
            "{{#hosts}}{{#hosts}}{{#hosts}}{{#hosts}}" + String(repeating: "x", count: 800_000)
            + "{{/hosts}}{{/hosts}}{{/hosts}}{{/hosts}}"
        #expect(try await Self.refusal(wide).contains("loop over less"))
        #expect(try await Self.refusal(String(repeating: "{{port}}", count: 4_097)).contains("at most 4096 tags"))
    }

    @Test("A template file is read, and its troubles name it")
    func files() async throws {
        let folder = try TestFolder()
        try folder.write("a.mustache", "hello\n")
        try folder.write("b.mustache", "{{gone}}")
        try folder.write("c.mustache", String(repeating: "x", count: (1 << 20) + 1))
        let renderer = try builtRenderer()
        func render(_ name: String) async throws(DeliveryFailure) -> [UInt8] {
            let source = RenderSpec.Source.templateFile(folder.path(name))
            return try await renderer.render(RenderSpec(name: "web", source: source, destination: "/etc/a"), [])
        }
        #expect(try await render("a.mustache") == Array("hello\n".utf8))
        for (name, reason) in [
            ("b.mustache", "line 1"), ("c.mustache", "larger than 1 MiB"), ("d.mustache", "cannot be opened"),
        ] {
            do throws(DeliveryFailure) {
                _ = try await render(name)
                Issue.record("\(name) was rendered")
            } catch {
                #expect(error.sentence.contains(folder.path(name)) && error.sentence.contains(reason))
            }
        }
    }

    @Test("A program that is not there, dies or says nothing is a sentence")
    func brokenProgram() async throws {
        let folder = try TestFolder()
        try folder.write("dies", "#!/bin/sh\nkill -ILL $$\n", mode: 0o755)
        try folder.write("mute", "#!/bin/sh\n/bin/cat >/dev/null\n", mode: 0o755)
        try folder.write("slow", "#!/bin/sh\nexec /bin/sleep 60\n", mode: 0o755)
        for (name, reason) in [
            ("none", "none"), ("dies", "status 132"), ("mute", "status 0 and no answer"), ("slow", "took longer"),
        ] {
            let renderer = Renderer(
                program: folder.path(name), timeout: name == "slow" ? .milliseconds(200) : .seconds(20))
            do {
                _ = try await Self.render("x", renderer: renderer)
                Issue.record("\(name) rendered")
            } catch let error as DeliveryFailure {
                #expect(error.sentence.contains(reason), "\(error.sentence)")
            }
        }
    }

    @Test("Without input the program answers with a reason")
    func noJob() throws {
        let program = try builtRendererPath()
        let result = try CommandRunner.run([program], input: Array("{}".utf8), timeout: .seconds(20))
        #expect(result.status == 0)
        #expect(String(decoding: result.output, as: UTF8.self).contains("is not a job"))
    }
}
