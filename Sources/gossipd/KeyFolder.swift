// SPDX-License-Identifier: Apache-2.0
// Owns the folder from which the packaged unit passes keys, read before the unit does.

import DaemonConfig
import Glibc
import Sealing

/// The folder beside a configuration: `keys.d` for `gossipd.toml`, `NAME.keys.d` for `NAME.toml`.
struct KeyFolder: Sendable {
    let path: String

    /// nil when no unit reads this file.
    init?(beside file: String) {
        guard file.hasSuffix(".toml") else { return nil }
        let slash = file.lastIndex(of: "/")
        let folder = slash.map { file[...$0] } ?? ""
        let stem = (slash.map { file[file.index(after: $0)...] } ?? file[...]).dropLast(".toml".count)
        path = folder + (stem == "gossipd" ? "keys.d" : "\(stem).keys.d")
    }

    /// What the unit would pass, and what an operator should know of it.
    struct Content: Sendable {
        /// In the order of the credentials' names.
        var files: [String] = []
        var warnings: [String] = []
        /// Whether all of it could be seen.
        var isReadable = true
    }

    /// As systemd loads a folder (systemd.exec(5), LoadCredential=): hidden files are passed over, folders entered.
    func content() -> Content {
        var content = Content()
        var status = stat()
        guard stat(path, &status) == 0 else {
            content.isReadable = errno == ENOENT
            return content
        }
        collect(path, depth: 0, into: &content)
        return content
    }

    private static let depthMax = 8

    private func collect(_ folder: String, depth: Int, into content: inout Content) {
        guard depth < Self.depthMax, let names = KeySource.names(in: folder) else {
            content.isReadable = false
            return
        }
        for name in names where !name.hasPrefix(".") {
            let file = "\(folder)/\(name)"
            var status = stat()
            guard stat(file, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                collect(file, depth: depth + 1, into: &content)
            } else if KeySource.isLeftover(name) {
                content.warnings.append("\(file): looks like a copy that an editor has left, and is ignored: remove it")
            } else {
                let mode = status.st_mode & 0o777
                if mode & ~0o600 != 0 {
                    content.warnings.append(
                        "\(file): others than root may use it (mode \(String(mode, radix: 8))): chmod 600 it, and"
                            + " replace the keys if somebody may have read them")
                }
                content.files.append(file)
            }
        }
    }
}
