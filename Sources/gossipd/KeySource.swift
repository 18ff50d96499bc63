// SPDX-License-Identifier: Apache-2.0
// Owns where the daemon's keys come from: the file that the configuration names, or the credential of the unit.

import DaemonConfig
import Glibc
import Sealing

/// Why the keys could not be had: file and reason, never what stands in the file.
struct KeyFailure: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
}

enum KeySource {
    /// The keys of the file or the credentials, in their order; none when none are configured.
    static func keys(_ configuration: DaemonConfiguration) throws(KeyFailure) -> [ClusterKey] {
        guard configuration.keyFile.isEmpty else { return try keys(inFile: configuration.keyFile, for: .current) }
        return try keys(inFiles: credentials().used)
    }

    // MARK: The file

    /// - Parameter reader: who will read it; it is read with the rights of this process all the same.
    static func keys(inFile path: String, for reader: ServiceUser) throws(KeyFailure) -> [ClusterKey] {
        try checkMode(path, reader)
        return try parse(try text(path), path)
    }

    /// Nobody but its owner may read a key file, and its owner is root or the daemon. Credentials are systemd's to guard.
    private static func checkMode(_ path: String, _ reader: ServiceUser) throws(KeyFailure) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw KeyFailure(path: path, reason: FileText.failure("cannot be examined").reason)
        }
        let mode = status.st_mode & 0o777
        guard mode & 0o077 == 0 else {
            throw KeyFailure(
                path: path,
                reason:
                    "others than its owner may use it (mode \(String(mode, radix: 8))): chmod 600 it, and replace the keys"
                    + " if somebody may have read them")
        }
        guard status.st_uid == 0 || status.st_uid == reader.id else {
            throw KeyFailure(
                path: path,
                reason: "belongs to user id \(status.st_uid): run chown \(reader.word) \(path), the daemon's user")
        }
        guard reader.canRead(path) else {
            throw KeyFailure(
                path: path,
                reason:
                    "\(reader.description), as which the daemon runs, cannot read it: run chown \(reader.word) \(path), or"
                    + " leave key_file out and put it into the keys.d beside the configuration, which systemd reads")
        }
    }

    // MARK: Several files

    /// Several files are read as one, in the order of their names; those without a key only when others have one.
    static func keys(inFiles paths: [String]) throws(KeyFailure) -> [ClusterKey] {
        var keys: [ClusterKey] = []
        var holders: [KeyID: String] = [:]
        for path in paths {
            let text = try text(path)
            let own: [ClusterKey]
            do throws(KeyFileProblem) {
                own = try KeyFile.keys(in: text)
            } catch {
                if error == .empty, paths.count > 1 { continue }
                throw KeyFailure(path: path, reason: error.description)
            }
            for key in own {
                if let other = holders.updateValue(path, forKey: key.id) {
                    throw KeyFailure(path: path, reason: "key \(key.id) stands in \(other) too: keep one")
                }
            }
            keys += own
        }
        guard let first = paths.first else { return [] }
        let problem: KeyFileProblem? = keys.isEmpty ? .empty : keys.count > KeyRing.keysMax ? .tooMany : nil
        if let problem {
            throw KeyFailure(
                path: paths.count == 1 ? first : "\(paths.joined(separator: ", ")) together",
                reason: problem.description)
        }
        return keys
    }

    /// The files of the credential "keys" of the unit, in the order of their names: those that are read, and copies that an
    /// editor or a package manager has left beside them. The unit passes "none" for a missing folder.
    static func credentials() -> (used: [String], ignored: [String]) {
        guard let folder = getenv("CREDENTIALS_DIRECTORY").map({ String(cString: $0) }), !folder.isEmpty else {
            return ([], [])
        }
        let names = (names(in: folder) ?? []).filter { $0 == "keys" || $0.hasPrefix("keys_") }
        let paths = names.map { "\(folder)/\($0)" }.filter { path in
            let bytes = try? FileText.read(path, sizeMax: 16)
            return bytes.map { String(decoding: $0, as: UTF8.self) } != "none"
        }
        return (paths.filter { !isLeftover($0) }, paths.filter(isLeftover))
    }

    /// Whether a file's name says that it is a copy of another one, whose keys somebody has taken out of use.
    static func isLeftover(_ name: String) -> Bool {
        let endings = ["~", ".swp", ".swo", ".bak", ".orig", ".old", ".tmp", ".dpkg-old", ".dpkg-dist", ".dpkg-new"]
        return endings.contains { name.hasSuffix($0) }
    }

    /// Names in a folder by bytes, without "." and ".."; nil when it cannot be listed.
    static func names(in folder: String) -> [String]? {
        guard let handle = opendir(folder) else { return nil }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func text(_ path: String) throws(KeyFailure) -> String {
        let bytes: [UInt8]
        do throws(FileReadFailure) {
            bytes = try FileText.read(path, sizeMax: KeyFile.bytesMax + 1)
        } catch {
            throw KeyFailure(path: path, reason: error.reason)
        }
        guard bytes.count <= KeyFile.bytesMax else {
            throw KeyFailure(path: path, reason: "is too large for a key file")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func parse(_ text: String, _ path: String) throws(KeyFailure) -> [ClusterKey] {
        do throws(KeyFileProblem) {
            return try KeyFile.keys(in: text)
        } catch {
            throw KeyFailure(path: path, reason: error.description)
        }
    }
}
