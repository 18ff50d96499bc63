// SPDX-License-Identifier: Apache-2.0
// Owns the files around the database: the mark of damage, and moving a damaged database aside.

import Glibc

/// The file `store.db.damaged`: a running daemon came upon damage, and the next opening must not trust the database
/// even if it does not come upon it. Holds the reason.
enum DamageMark {
    private static let suffix = ".damaged"
    private static let reasonBytesMax = 1_024

    /// As well as it goes: the process is about to end.
    static func put(_ reason: String, beside file: String) {
        let descriptor = open(file + suffix, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0 { return }
        let bytes = Array(reason.utf8.prefix(reasonBytesMax))
        _ = write(descriptor, bytes, bytes.count)
        _ = fsync(descriptor)
        _ = close(descriptor)
    }

    static func reason(in directory: DirectoryHandle, file: String) throws(PersistenceFailure) -> String? {
        try directory.read(file + suffix, limit: reasonBytesMax).map { String(decoding: $0, as: UTF8.self) }
    }

    static func remove(in directory: DirectoryHandle, file: String) {
        _ = unlinkat(directory.descriptor, file + suffix, 0)
    }
}

enum SetAside {
    /// Moves the database with its log out of the way and returns the new name. The shared-memory index is rebuilt from
    /// the log, but it goes along: nothing of the damage is lost.
    static func move(_ file: String, in directory: DirectoryHandle) throws(PersistenceFailure) -> String {
        let base = "\(file).corrupt-\(timestamp())"
        var name = base
        var count = 1
        while faccessat(directory.descriptor, name, F_OK, 0) == 0 {
            count += 1
            name = "\(base)-\(count)"
        }
        // Whoever is interrupted here has to go on: without its log, the database would be opened as an older one.
        DamageMark.put("it was being moved aside", beside: directory.name(file))
        for suffix in ["-wal", "-shm", ""]
        where faccessat(directory.descriptor, file + suffix, F_OK, 0) == 0 {
            try directory.setAside(file + suffix, as: name + suffix)
        }
        DamageMark.remove(in: directory, file: file)
        return directory.name(name)
    }

    /// UTC, as in 20261121T021904Z.
    private static func timestamp() -> String {
        var seconds = time(nil)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return String(seconds) }
        func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))Z"
    }
}
