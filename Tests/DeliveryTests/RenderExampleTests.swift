// SPDX-License-Identifier: Apache-2.0
// Owns the promise that the examples work and that the manual knows every key.

import AdminModel
import Testing

@testable import Delivery

@Suite("The examples and the manual of render.d")
struct RenderExampleTests {
    @Test("Each example is a good description", arguments: ["motd", "nginx"])
    func parses(name: String) throws {
        let file = "Config/render.d/\(name).toml.example"
        let spec = try RenderDescription.parse(try repositoryFile(file), file: file, name: name)
        #expect(spec.name == name)
    }

    @Test("The example's template renders upstreams that follow the members, and none when there is none")
    func renders() async throws {
        let file = "Config/render.d/nginx.toml.example"
        var spec = try RenderDescription.parse(try repositoryFile(file), file: file, name: "nginx")
        #expect(spec.source == .templateFile("/etc/gossipd/templates/nginx.mustache"))
        spec.source = .template(String(decoding: try repositoryFile("Config/templates/nginx.mustache"), as: UTF8.self))
        let renderer = try builtRenderer()
        func render(_ members: [MemberDocument]) async throws -> String {
            let contents: [InputContent] = try spec.readInputs.map { input in
                switch input {
                case .members: .members(members)
                case .key(let key, nil): .key(try register(key.description, "www.example.org"))
                case .set: .key(try document("app/blocked", .set([Array("192.0.2.66".utf8)])))
                case .key, .prefix: .key(nil)
                }
            }
            return String(decoding: try await renderer.render(spec, contents), as: UTF8.self)
        }
        let text = try await render([try member("web-2", "[2001:db8::2]:7946"), try member("web-1", "192.0.2.1:7946")])
        #expect(
            text.contains(
                """
                    upstream app {
                        server 192.0.2.1:8080; # web-1
                        server [2001:db8::2]:8080; # web-2
                    }
                """))
        #expect(text.hasPrefix("worker_processes") && text.contains("        deny 192.0.2.66;\n"))
        #expect(try await render([]).contains("    upstream app {\n        server 127.0.0.1:9 down;\n    }\n"))
    }

    @Test("The first rendering of the example replaces the nginx.conf that Debian's nginx comes with")
    func replacesStock() async throws {
        let file = "Config/render.d/nginx.toml.example"
        var spec = try RenderDescription.parse(try repositoryFile(file), file: file, name: "nginx")
        spec.source = .template(String(decoding: try repositoryFile("Config/templates/nginx.mustache"), as: UTF8.self))
        let contents: [InputContent] = try spec.readInputs.map { input in
            switch input {
            case .members: .members([])
            case .key(let key, nil): .key(try register(key.description, "a"))
            case .key, .prefix, .set: .key(nil)
            }
        }
        let result = try await builtRenderer().render(spec, contents)
        let scene = try ApplyScene()
        scene.describe("nginx") { $0.sizeMinPercent = spec.sizeMinPercent }
        // Of nginx-light 1.22.1-9+deb12u1.
        try scene.folder.write("etc/nginx", String(repeating: "#", count: 1_446))
        let answer = try scene.apply("nginx", String(decoding: result, as: UTF8.self))
        #expect(answer.outcome == .applied, "\(answer.reason ?? "")")
    }

    @Test("gossipd-render.d(5) tells every key, table and field")
    func manual() throws {
        let text = String(decoding: try repositoryFile("Packaging/man/gossipd-render.d.5"), as: UTF8.self)
        let lines = Set(text.split(separator: "\n"))
        for key in RenderDescription.keys { #expect(lines.contains(".B \(key)"), "\(key)") }
        for table in RenderDescription.tables { #expect(lines.contains(".B [\(table)]"), "\(table)") }
        for field in RenderRules.fields.values.joined() { #expect(text.contains(field), "\(field)") }
    }
}
