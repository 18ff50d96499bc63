// SPDX-License-Identifier: Apache-2.0
// Owns reading the package's own files.

import Glibc

/// One file of the package: its path from the package's root, and its text.
struct SourceFile: Sendable, CustomStringConvertible {
    let path: String
    let text: String
    /// The text of a Swift file without comments and strings; empty for other files.
    let code: String

    init(path: String, text: String) {
        self.path = path
        self.text = text
        code = path.hasSuffix(".swift") ? SwiftText.code(text) : ""
    }

    var description: String { path }

    /// Whether the text has these bytes; much faster than looking through it as characters.
    func mentions(_ bytes: String) -> Bool { strstr(text, bytes) != nil }

    /// `Sources/X/...` is in module X.
    var module: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Numbered from 1.
    var lines: [(number: Int, text: Substring)] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map { ($0.offset + 1, $0.element) }
    }
}

/// The package that these tests were compiled from.
enum SourceTree {
    /// Found upwards from this file: where Package.swift lies.
    static let root: String = {
        var parts = #filePath.split(separator: "/").dropLast()
        while !parts.isEmpty {
            let folder = "/" + parts.joined(separator: "/")
            if access(folder + "/Package.swift", R_OK) == 0 { return folder }
            parts = parts.dropLast()
        }
        return "/"
    }()

    static let sources = swiftFiles(under: "Sources")
    static let tests = swiftFiles(under: "Tests")
    static let manifest = SourceFile(path: "Package.swift", text: read("Package.swift") ?? "")
    /// Everything that is read as text and shipped.
    static let all = files(under: "")

    private static func swiftFiles(under folder: String) -> [SourceFile] {
        files(under: folder).filter { $0.path.hasSuffix(".swift") }
    }

    /// Files larger than this, and files that are not UTF-8, are no text.
    private static let textBytesMax = 1 << 20

    static func files(under folder: String) -> [SourceFile] {
        var found: [SourceFile] = []
        for name in names(in: folder) where name != ".build" && name != ".git" {
            let path = folder.isEmpty ? name : folder + "/" + name
            if isFolder(path) {
                found += files(under: path)
            } else if let text = read(path) {
                found.append(SourceFile(path: path, text: text))
            }
        }
        return found
    }

    static func exists(_ path: String) -> Bool { access(root + "/" + path, F_OK) == 0 }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return lstat(root + "/" + path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(root + "/" + folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    static func read(_ path: String) -> String? {
        let descriptor = open(root + "/" + path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= textBytesMax {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return String(validating: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
        return nil
    }
}
