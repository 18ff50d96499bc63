// SPDX-License-Identifier: Apache-2.0
// Owns where the daemon's keys come from: the file that the configuration names, or the credential of the unit.

import DaemonConfig
import Glibc
import Sealing
import Transport

/// Why the keys could not be had: file and reason, never what stands in the file.
struct KeyFailure: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
}

enum KeySource {
    /// The settings of the seal; no keys when none are configured.
    static func settings(_ configuration: DaemonConfiguration) throws(KeyFailure) -> SealSettings {
        SealSettings(keys: try keys(configuration), acceptsPlain: configuration.insecure)
    }

    private static func keys(_ configuration: DaemonConfiguration) throws(KeyFailure) -> [ClusterKey] {
        if !configuration.keyFile.isEmpty {
            try checkMode(configuration.keyFile)
            return try parse(try text(configuration.keyFile), configuration.keyFile)
        }
        let credentials = credentials()
        guard let first = credentials.first else { return [] }
        // Several files are read as one, in the order of their names.
        var whole = ""
        for path in credentials { whole += try text(path) + "\n" }
        return try parse(
            whole, credentials.count == 1 ? first : "the credentials \(credentials.joined(separator: ", "))")
    }

    /// The files of the credential "keys" of the unit, in the order of their names. The unit passes "none" for a missing folder.
    static func credentials() -> [String] {
        guard let folder = getenv("CREDENTIALS_DIRECTORY").map({ String(cString: $0) }), !folder.isEmpty,
            let handle = opendir(folder)
        else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "keys" || name.hasPrefix("keys_") { names.append(name) }
        }
        return names.sorted().map { "\(folder)/\($0)" }.filter { path in
            let bytes = try? FileText.read(path, sizeMax: 16)
            return bytes.map { String(decoding: $0, as: UTF8.self) } != "none"
        }
    }

    /// Whether a unit that reads this configuration will pass keys: those here, or those in the folder that the packaged unit
    /// passes, beside the configuration.
    static func hasCredentials(beside file: String?) -> Bool {
        if !credentials().isEmpty { return true }
        guard let file, getenv("CREDENTIALS_DIRECTORY") == nil, file.hasSuffix(".toml") else { return false }
        let stem = file.dropLast(".toml".count)
        let folder = stem.hasSuffix("/gossipd") ? stem.dropLast("gossipd".count) + "keys.d" : stem + ".keys.d"
        guard let handle = opendir(String(folder)) else { return errno == EACCES }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { return true }
        }
        return false
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

    /// Nobody but its owner may read a key file, and its owner is root or the daemon. Credentials are systemd's to guard.
    private static func checkMode(_ path: String) throws(KeyFailure) {
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
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw KeyFailure(
                path: path, reason: "belongs to user id \(status.st_uid): chown it to root or to the daemon")
        }
    }
}
