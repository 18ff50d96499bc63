// SPDX-License-Identifier: Apache-2.0
// Owns reading the folder of descriptions: which files count, who may have written them, and what they say together.

import ClusterTypes
import DaemonConfig
import Glibc

package enum RenderDirectory {
    private static let suffix = ".toml"

    /// Reads every `NAME.toml` in the folder `path`; each file fails alone. A folder that does not exist has no files.
    ///
    /// Hidden files and other endings are not looked at. Whoever can write a description runs commands as the reader of
    /// the folder does, so a reader that is root takes only what belongs to root and nobody else can write.
    ///
    /// - Parameters:
    ///   - limits: where no destination may be; the folder `path` is none either.
    ///   - isRoot: whether the descriptions are carried out with root's rights.
    package static func read(
        _ path: String, within limits: DestinationLimits = .init(), isRoot: Bool = geteuid() == 0
    ) -> RenderListing {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else {
            if errno == ENOENT { return RenderListing() }
            return whole(path, FileText.failure("cannot be opened").reason)
        }
        defer { close(folder) }
        if let reason = refusal(of: folder, isRoot: isRoot, what: "a folder", type: S_IFDIR) {
            return whole(path, reason)
        }
        guard let names = names(in: folder) else {
            return whole(path, "cannot be listed, or holds more than \(RenderBounds.entriesMax) entries")
        }
        var limits = limits
        limits.folders.insert(path, at: 0)
        var listing = RenderListing()
        for (index, name) in names.enumerated() {
            let file = path + (path.hasSuffix("/") ? "" : "/") + name + suffix
            do throws(ConfigurationError) {
                guard index < RenderBounds.filesMax else {
                    throw problem(file, "there are more than \(RenderBounds.filesMax) descriptions: remove some")
                }
                listing.specs.append(
                    try spec(name, file: file, in: folder, isRoot: isRoot, within: limits))
            } catch {
                listing.problems += error.problems.map { RenderProblem(name: name, sentence: $0.description) }
            }
        }
        refuseShared(&listing, path: path)
        return listing
    }

    private static func whole(_ path: String, _ reason: String) -> RenderListing {
        RenderListing(problems: [RenderProblem(name: "", sentence: "\(path): \(reason)")])
    }

    private static func problem(_ file: String, _ reason: String) -> ConfigurationError {
        ConfigurationError(problems: [.init(place: .file(file, line: nil, column: nil), reason: reason)])
    }

    /// The names of the descriptions, sorted by bytes; nil when there is no list.
    private static func names(in folder: CInt) -> [String]? {
        let copy = fcntl(folder, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { return nil }
        guard let stream = fdopendir(copy) else {
            close(copy)
            return nil
        }
        defer { closedir(stream) }
        var names: [String] = []
        var entries = 0
        errno = 0
        while let entry = readdir(stream) {
            entries += 1
            guard entries <= RenderBounds.entriesMax else { return nil }
            let size = Int(entry.pointee.d_reclen)
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: size) { String(cString: $0) }
            }
            if name.hasSuffix(suffix), !name.hasPrefix(".") { names.append(String(name.dropLast(suffix.count))) }
            errno = 0
        }
        guard errno == 0 else { return nil }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func spec(
        _ name: String, file: String, in folder: CInt, isRoot: Bool, within limits: DestinationLimits
    ) throws(ConfigurationError) -> RenderSpec {
        do throws(Refusal) {
            _ = try ValueRule<String>.name.decode(.string(name))
        } catch {
            throw problem(file, "the file's name before .toml \(error.reason)")
        }
        // Not through a link, and without waiting for whoever writes a pipe.
        let descriptor = openat(folder, name + suffix, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw problem(
                file,
                errno == ELOOP ? "is a link, not a regular file" : FileText.failure("cannot be opened").reason)
        }
        defer { close(descriptor) }
        if let reason = refusal(of: descriptor, isRoot: isRoot, what: "a regular file", type: S_IFREG) {
            throw problem(file, reason)
        }
        let bytes: [UInt8]
        do throws(FileReadFailure) {
            bytes = try FileText.read(descriptor, sizeMax: RenderBounds.descriptionBytesMax + 1)
        } catch {
            throw problem(file, error.reason)
        }
        return try RenderDescription.parse(bytes, file: file, name: name, within: limits)
    }

    /// Why what is open must not be followed; nil when it may.
    private static func refusal(of descriptor: CInt, isRoot: Bool, what: String, type: mode_t) -> String? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return FileText.failure("cannot be examined").reason }
        guard status.st_mode & S_IFMT == type else { return "is not \(what)" }
        guard isRoot else { return nil }
        let remedy = "whoever can write it could become root; run chown root:root and chmod go-w on it"
        guard status.st_uid == 0 else {
            return "belongs to the user with number \(status.st_uid), not to root: \(remedy)"
        }
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            let mode = String(status.st_mode & 0o7777, radix: 8)
            return "can be written by others than root (mode \(mode)): \(remedy)"
        }
        return nil
    }

    /// Two descriptions of one destination would undo each other's work for ever: both are refused.
    private static func refuseShared(_ listing: inout RenderListing, path: String) {
        var names: [String: [String]] = [:]
        for spec in listing.specs { names[spec.destination, default: []].append(spec.name) }
        let shared = names.filter { $0.value.count > 1 }
        guard !shared.isEmpty else { return }
        for spec in listing.specs {
            guard let others = shared[spec.destination]?.filter({ $0 != spec.name }) else { continue }
            let sentence =
                "\(path)/\(spec.name)\(suffix): destination: \(spec.destination) is the destination of"
                + " \(others.map { $0 + suffix }.joined(separator: ", ")) too: keep one"
            listing.problems.append(RenderProblem(name: spec.name, sentence: sentence))
        }
        listing.specs.removeAll { shared[$0.destination] != nil }
        listing.problems = listing.problems.enumerated().sorted { a, b in
            let isEqual = a.element.name == b.element.name
            return isEqual ? a.offset < b.offset : a.element.name.utf8.lexicographicallyPrecedes(b.element.name.utf8)
        }.map(\.element)
    }
}
