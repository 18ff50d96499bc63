// SPDX-License-Identifier: Apache-2.0
// Owns the note of what must be reloaded, which outlives the process between a rename and its reload.

import FoundationEssentials
import Glibc

/// What is put in place and not reloaded yet. As a file: `pending.json` in the state folder, one JSON document.
struct PendingReloads: Hashable, Codable, Sendable {
    struct File: Hashable, Codable, Sendable {
        var name: String
        var destination: String
        /// The file beside the destination, which has the former content once the new one is in place.
        var temporary: String
        var version: String
        /// The version of what was there; nil when nothing was.
        var former: String?
        /// An index into `reloads`.
        var reload: Int
    }

    struct Reload: Hashable, Codable, Sendable {
        var unit: String?
        var command: [String]?
        var timeoutMilliseconds: Int64

        init(_ reload: RenderSpec.Reload, timeout: Duration) {
            switch reload {
            case .unit(let name): unit = name
            case .command(let words): command = words
            }
            timeoutMilliseconds = timeout.milliseconds
        }

        /// As operators know it.
        var target: String {
            if let unit { return "unit \(unit)" }
            return (command ?? []).joined(separator: " ")
        }

        var reload: RenderSpec.Reload { unit.map { .unit($0) } ?? .command(command ?? []) }

        func arguments(systemctl: [String]) -> [String] {
            if let unit { return systemctl + ["reload-or-restart", unit] }
            return command ?? []
        }
    }

    var files: [File] = []
    var reloads: [Reload] = []

    init() {}

    /// One note of several.
    init(joining parts: [PendingReloads]) {
        for part in parts {
            files += part.files.map { file in
                var file = file
                file.reload += reloads.count
                return file
            }
            reloads += part.reloads
        }
    }

    /// A note for each reload.
    var parts: [PendingReloads] {
        reloads.indices.map { index in
            var part = PendingReloads()
            part.reloads = [reloads[index]]
            part.files = files.filter { $0.reload == index }.map { file in
                var file = file
                file.reload = 0
                return file
            }
            return part
        }
    }
}

/// The folder where the note is.
struct StateFolder: Sendable {
    static let noteName = "pending.json"

    let path: String

    private var notePath: String { path + "/" + Self.noteName }

    var hasNote: Bool { access(notePath, F_OK) == 0 }

    /// Writes the note; durable on return.
    func write(_ pending: PendingReloads) throws(DeliveryFailure) {
        let text: [UInt8]
        do {
            text = Array(try JSONEncoder().encode(pending))
        } catch { throw .file("cannot note what has to be reloaded: \(error)") }
        // Made by whoever uses it first; systemd has made it before, as StateDirectory=.
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw DestinationFolder.failure("create the folder", path, errno)
        }
        let file = try DestinationFile(notePath)
        var rights = RenderSpec(name: Self.noteName, source: .template(""), destination: notePath)
        rights.mode = 0o600
        try refuseForeign()
        let staged = try file.stage(text, try FileRights(rights))
        guard staged.folder.rename(staged.temporary, to: staged.name) == 0 else {
            let code = errno
            staged.discard()
            throw DestinationFolder.failure("write", notePath, code)
        }
        try staged.folder.synchronise()
    }

    /// The note; nil when there is none. One that cannot be read is put aside as `pending.json.bad`.
    func read() throws(DeliveryFailure) -> PendingReloads? {
        guard hasNote else { return nil }
        try refuseForeign()
        let file = try DestinationFile(notePath)
        guard let present = try file.present() else { return nil }
        do {
            let pending = try JSONDecoder().decode(PendingReloads.self, from: Data(present.content))
            let isSound = pending.files.allSatisfy { pending.reloads.indices.contains($0.reload) }
            if isSound { return pending }
        } catch {}
        _ = file.folder.rename(Self.noteName, to: Self.noteName + ".bad")
        throw .file(
            "\(notePath) cannot be read and is kept as \(Self.noteName).bad: reload the services whose files changed"
                + " last by hand")
    }

    /// The note names commands that this process runs: a folder that another user could write is not one for it.
    private func refuseForeign() throws(DeliveryFailure) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw DestinationFolder.failure("examine the folder", path, errno) }
        guard status.st_uid == geteuid(), status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            throw .file(
                "the folder \(path) can be written by others than the user with number \(geteuid()), so its note of what"
                    + " has to be reloaded is not followed: see who made it so, and remove the folder")
        }
    }

    /// Strikes the note out; durable on return.
    func clear() throws(DeliveryFailure) {
        guard hasNote else { return }
        let file = try DestinationFile(notePath)
        guard file.folder.remove(Self.noteName) == 0 || errno == ENOENT else {
            throw DestinationFolder.failure("remove", notePath, errno)
        }
        try file.folder.synchronise()
    }

    /// Removes notes that were never finished.
    func removeTemporaries() {
        guard let file = try? DestinationFile(notePath) else { return }
        _ = file.folder.removeTemporaries(of: Self.noteName, except: [])
    }
}
