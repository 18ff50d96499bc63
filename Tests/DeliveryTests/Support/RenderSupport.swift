// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of descriptions and templates share: documents, descriptions from text, the built renderer.

import AdminModel
import DaemonConfig
import Glibc
import Testing

@testable import Delivery

/// A description from `text`, which is behind a destination and a source unless it names them.
func describe(_ text: String, within limits: DestinationLimits = .init()) throws(ConfigurationError) -> RenderSpec {
    try RenderDescription.parse(Array(text.utf8), file: "web.toml", name: "web", within: limits)
}

/// The problems of a description, one a line.
func problems(_ text: String, within limits: DestinationLimits = .init()) -> String {
    do throws(ConfigurationError) {
        _ = try describe(text, within: limits)
        return ""
    } catch {
        return error.description
    }
}

func document(_ key: String, _ content: KeyContent) throws -> KeyDocument {
    KeyDocument(
        key: try ConfigurationKey(key), content: content, version: "1", writtenAt: try stamp(),
        author: MemberIdentity(id: "1", name: "a"))
}

func register(_ key: String, _ text: String) throws -> KeyDocument { try document(key, .register(Array(text.utf8))) }

func member(
    _ name: String, _ address: String, id: String? = nil, tags: [String: String] = [:]
) throws -> MemberDocument {
    MemberDocument(
        id: id ?? name, name: name, address: address, state: .alive, incarnation: 1, tags: tags, since: try stamp())
}

private func stamp() throws -> Timestamp {
    try #require(Timestamp("2026-01-01T00:00:00.000Z"))
}

/// A file of the repository, from its root.
func repositoryFile(_ path: String) throws -> [UInt8] {
    let root = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    return try FileText.read("/\(root)/\(path)", sizeMax: 1 << 20)
}

/// gossipd-render as built together with these tests.
func builtRenderer(timeout: Duration = .seconds(60)) throws -> Renderer {
    Renderer(program: try builtRendererPath(), timeout: timeout)
}

func builtRendererPath() throws -> String {
    let own = try #require(RenderRules.resolved("/proc/self/exe"))
    for start in [own, CommandLine.arguments.first ?? ""] {
        var folder = start.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        for _ in 0..<4 where folder.count > 1 {
            let path = folder.joined(separator: "/") + "/gossipd-render"
            if access(path, X_OK) == 0 { return path }
            folder = folder.dropLast()
        }
    }
    throw TestFailure("gossipd-render is not beside the tests (\(own))")
}
