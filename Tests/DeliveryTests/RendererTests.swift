// SPDX-License-Identifier: Apache-2.0
// Owns the promise that the real gossipd-render renders plain text and refuses what is not there.

import AdminModel
import Glibc
import Testing

@testable import Delivery

@Suite("Rendering with the real program", .serialized, .timeLimit(.minutes(3)))
struct RendererTests {
    /// Names: `port`, `empty`, `hosts` of a and b, `none`, `nodes`.
    private static func spec(_ template: String) throws -> RenderSpec {
        var spec = RenderSpec(name: "web", source: .template(template), destination: "/etc/a")
        spec.inputs = [
            "port": .key(try ConfigurationKey("port"), default: "80 <&> \"x\""),
            "empty": .key(try ConfigurationKey("empty"), default: ""),
            "hosts": .set(try ConfigurationKey("hosts"), default: ["a", "b"]),
            "none": .set(try ConfigurationKey("none"), default: []),
            "nodes": .members(MemberFilter()),
        ]
        return spec
    }

    /// Unless others are given, `nodes` is one member with the tag role.
    private static func render(
        _ template: String, members: [MemberDocument]? = nil, renderer: Renderer? = nil
    ) async throws -> String {
        let spec = try spec(template)
        let members = try members ?? [member("n1", "[::1]:7946", tags: ["role": "web"])]
        let contents: [InputContent] = spec.readInputs.map { input in
            if case .members = input { .members(members) } else { .key(nil) }
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
            (
                "{{#nodes}}{{tags.zone}}{{/nodes}}",
                "line 1, column 11: the member n1 has no tag zone: write {{#tags.zone}}"
            ),
            ("{{#nodes}}{{^tags.zone}}{{tags.zone}}{{/tags.zone}}{{/nodes}}", "the member n1 has no tag zone"),
            ("{{#nodes}}{{#tags.zone}}{{gone}}{{/tags.zone}}{{/nodes}}", "{{gone}} is declared nowhere"),
            ("{{#nodes}}{{#tags.zone.x}}a{{/tags.zone.x}}{{/nodes}}", "there is no zone in a table of role"),
            ("{{#nodes}}{{#tagz.zone}}a{{/tagz.zone}}{{/nodes}}", "{{tagz.zone}} is declared nowhere"),
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

    /// Members with and without the tags weight and zone; an empty weight is none.
    private static func weighted() throws -> [MemberDocument] {
        [
            try member("a", "10.0.0.1:1", tags: ["weight": "3", "zone": "z"]), try member("b", "10.0.0.2:1"),
            try member("c", "10.0.0.3:1", tags: ["weight": ""]), try member("d", "10.0.0.4:1"),
        ]
    }

    @Test(
        "A section of a tag that a member does not have is false",
        arguments: [
            ("{{#tags.weight}} weight={{tags.weight}}{{/tags.weight}}", "a weight=3;b;c;d;"),
            (
                "{{#tags.weight}} weight={{.}}{{/tags.weight}}{{^tags.weight}} -{{/tags.weight}}",
                "a weight=3;b -;c -;d -;"
            ),
            (
                "{{#tags.weight}} {{tags.weight}}{{#tags.zone}}{{tags.zone}}{{/tags.zone}}{{/tags.weight}}",
                "a 3z;b;c;d;"
            ),
            // Whoever has a weight has a zone here, so the zone is never missing where it is printed.
            ("{{#tags.weight}} {{tags.zone}}{{/tags.weight}}", "a z;b;c;d;"),
        ])
    func optionalTags(template: String, text: String) async throws {
        let loop = "{{#nodes}}{{name}}\(template);{{/nodes}}"
        #expect(try await Self.render(loop, members: try Self.weighted()) == text)
    }

    @Test("A missing tag that would be printed names the member, the tag and how many others lack it")
    func missingTag() async throws {
        do {
            _ = try await Self.render("{{#nodes}}\n{{tags.zone}}{{/nodes}}", members: try Self.weighted())
            Issue.record("it was rendered")
        } catch DeliveryFailure.template(let sentence) {
            #expect(
                sentence
                    == "template_text of web.toml: line 2, column 1: the member b has no tag zone, and 2 more have none:"
                    + " write {{#tags.zone}}...{{/tags.zone}} around {{tags.zone}}, or list with tags = { ... } only"
                    + " members that have it")
        }
    }

    @Test(
        "A check without data finds what is wrong in the template, and nothing that only data can tell",
        arguments: [
            (
                "{{port}}{{#hosts}}{{.}}{{value}}{{/hosts}}{{#nodes}}{{name}}{{tags.any}}{{#last}};{{/last}}{{/nodes}}",
                ""
            ),
            ("{{#none}}{{value}}{{/none}}{{^hosts}}none{{/hosts}}{{#nodes}}{{#tags.a}}{{.}}{{/tags.a}}{{/nodes}}", ""),
            ("a\n{{#hosts}}", "line 2, column 1: the section hosts is never closed: write {{/hosts}} behind it"),
            ("{{#none}}\n{{gone}}{{/none}}", "line 2, column 1: {{gone}} is declared nowhere: add gone to [keys]"),
            ("{{hosts}}", "line 1, column 1: {{hosts}} is a list, not a text"),
            ("text {", "the template ends in what may begin a tag"),
        ])
    func checked(template: String, reason: String) throws {
        let report = try builtRenderer().check([try Self.spec(template)], in: "/etc/gossipd/render.d")
        #expect(report.read == 1 && report.warning == nil)
        guard !reason.isEmpty else {
            #expect(report.problems.isEmpty, "\(report.problems)")
            return
        }
        let problem = try #require(report.problems.first)
        #expect(report.problems.count == 1 && problem.name == "web")
        #expect(
            problem.sentence.hasPrefix("/etc/gossipd/render.d/web.toml: template_text: line "), "\(problem.sentence)")
        #expect(problem.sentence.contains(reason), "\(problem.sentence)")
    }

    @Test("A check reads template files, names those that are not there, and says when it cannot parse")
    func checkedFiles() throws {
        let folder = try TestFolder()
        try folder.write("bad.mustache", "a\n{{#x}}")
        func spec(_ name: String) -> RenderSpec {
            RenderSpec(name: name, source: .templateFile(folder.path("\(name).mustache")), destination: "/etc/\(name)")
        }
        var good = spec("good")
        good.source = .key(try ConfigurationKey("app/motd"))
        let specs = [spec("bad"), spec("gone"), good]
        let gone =
            "/r/gone.toml: template \(folder.path)/gone.mustache cannot be opened: No such file or directory"
        let report = try builtRenderer().check(specs, in: "/r")
        #expect(
            report.problems.map(\.sentence) == [
                "/r/bad.toml: template \(folder.path)/bad.mustache: line 2, column 1: the section x is never closed: write"
                    + " {{/x}} behind it", gone,
            ])
        #expect(report.read == 1 && report.warning == nil)
        let without = Renderer(program: folder.path("nowhere")).check(specs, in: "/r")
        #expect(without.problems.map(\.sentence) == [gone])
        #expect(
            without.warning
                == "the templates were not parsed: \(folder.path)/nowhere is not there or cannot be run; it comes with"
                + " gossipd's package")
        #expect(Renderer(program: "/nowhere").check([good], in: "/r") == Renderer.TemplateReport())
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
