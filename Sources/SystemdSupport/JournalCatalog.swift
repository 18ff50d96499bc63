// SPDX-License-Identifier: Apache-2.0
// Owns the journal's catalog: what `journalctl -x` says below each event.

/// Renders `Packaging/gossipd.catalog` from `EventKind`.
package enum JournalCatalog {
    /// The text of the file, in the format of the systemd message catalog.
    package static func render() -> String {
        """
        # SPDX-License-Identifier: Apache-2.0
        # The catalog of gossipd's journal entries, shown by "journalctl -x".
        # Rendered from EventKind; a test compares the two.

        """
            + EventKind.allCases.map { event in
                """

                # \(event.rawValue)
                -- \(event.messageID)
                Subject: \(event.subject)
                Defined-By: gossipd
                Documentation: man:gossipd(8)

                \(event.meaning)

                What to do: \(event.action)

                """
            }.joined()
    }
}
