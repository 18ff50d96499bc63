// SPDX-License-Identifier: Apache-2.0
// Owns the database's schema and the steps from each version to the next; Docs/storage.md explains every column.

/// The schema's version is SQLite's `user_version`; 0 is an empty file.
enum Schema {
    /// `application_id` of our files: "gsp1".
    static let applicationID: Int64 = 0x6773_7031
    /// The version after all steps.
    static var version: Int { steps.count }

    /// Step n leads from version n to n + 1. A step that was released is never changed.
    static let steps = [
        """
        CREATE TABLE meta (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            store_id TEXT NOT NULL,
            revision INTEGER NOT NULL,
            clock INTEGER NOT NULL,
            promised INTEGER NOT NULL,
            queued_last INTEGER NOT NULL,
            expired_through INTEGER NOT NULL,
            history_since INTEGER NOT NULL,
            pruned_through INTEGER NOT NULL,
            pruned_time INTEGER NOT NULL,
            gap_through INTEGER NOT NULL,
            swept INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE floor (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            data BLOB NOT NULL
        ) STRICT;
        CREATE TABLE context (
            actor BLOB NOT NULL,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            PRIMARY KEY (actor, first)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE row (
            key TEXT NOT NULL,
            part BLOB NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (key, part)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE history (
            revision INTEGER PRIMARY KEY,
            key TEXT NOT NULL,
            type INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            before_type INTEGER,
            before ANY,
            detail ANY,
            value INTEGER,
            stamp INTEGER NOT NULL,
            author BLOB NOT NULL,
            user TEXT,
            reason TEXT,
            expires INTEGER,
            transaction_first INTEGER,
            transaction_count INTEGER,
            applied_at INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX history_key ON history (key);
        CREATE TABLE pruned (
            key TEXT PRIMARY KEY,
            revision INTEGER NOT NULL,
            time INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE request (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            fingerprint INTEGER NOT NULL,
            key TEXT NOT NULL,
            version TEXT NOT NULL,
            at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE queued (
            number INTEGER PRIMARY KEY,
            cause INTEGER NOT NULL,
            queued_at INTEGER NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        """,
        """
        DROP INDEX history_key;
        CREATE INDEX history_part_key ON history (revision >> 16, key);
        """,
    ]

    /// The file's version. A newer one and another program's file (`corrupt`) are refused before anything is changed.
    static func check(_ connection: Connection) throws(PersistenceFailure) -> Int {
        let found = Int(try connection.integer("PRAGMA user_version") ?? 0)
        let application = try connection.integer("PRAGMA application_id") ?? 0
        let tables = try connection.integer("SELECT count(*) FROM sqlite_schema") ?? 0
        guard application == applicationID || (application == 0 && found == 0 && tables == 0) else {
            throw .corrupt(file: connection.file, reason: "it is the database of another program")
        }
        if found > version {
            throw .newerSchema(file: connection.file, version: found, supported: version)
        }
        guard found >= 0 else {
            throw .corrupt(file: connection.file, reason: "its schema has the version \(found)")
        }
        return found
    }

    /// Brings the database from version `found` to the present one, all steps in one transaction.
    static func migrate(_ connection: Connection, from found: Int) throws(PersistenceFailure) {
        if found == version { return }
        try connection.execute("BEGIN IMMEDIATE")
        do throws(PersistenceFailure) {
            for step in steps[found...] { try connection.execute(step) }
            try connection.execute("PRAGMA application_id = \(applicationID)")
            try connection.execute("PRAGMA user_version = \(version)")
            try connection.execute("COMMIT")
        } catch {
            if connection.isInTransaction { try connection.execute("ROLLBACK") }
            throw error
        }
    }
}
