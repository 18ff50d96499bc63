// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of the events about delivery: what each means and what to do.

internal import Logging

extension EventKind {
    static let renderAppliedDescription = Description(
        messageID: "2dfe6ba0b4ef4b02b48e7f85397df15a", level: .info,
        subject: "The file @GOSSIPD_FILE@ has new content",
        meaning: """
            The keys or members that it is made of have changed. The new content has passed its check
            and is at @GOSSIPD_DESTINATION@.
            """,
        action: "Nothing.")

    static let renderFailedDescription = Description(
        messageID: "8bcefbb2cbb5494c9eedc9da4f7faaf5", level: .error,
        subject: "The file @GOSSIPD_FILE@ could not be rendered or written",
        meaning: """
            The former content is still in place, and other files are not concerned:
            @GOSSIPD_REASON@
            It is tried again, more and more rarely, and when its keys change.
            """,
        action: """
            Do what the reason says: it names a key, a line of the template, or what this host lacks, such
            as a folder, a user or room. Look at the result with gossipctl render plan. After a change in
            render.d: systemctl reload gossipd.
            """)

    static let renderRefusedDescription = Description(
        messageID: "4319fe7c44624127947e6d9b08b1bdb1", level: .error,
        subject: "The new content of the file @GOSSIPD_FILE@ was refused",
        meaning: """
            It is empty, much smaller than what it would replace or too large, its check said no, or the
            helper knows no such description: @GOSSIPD_REASON@
            The former content is still in place.
            """,
        action: """
            Look at it with gossipctl render plan and correct the keys or the template. If it is meant
            so, say it in the description: allow_empty, size_min_percent.
            """)

    static let renderRolledBackDescription = Description(
        messageID: "bcd7c22740d54fe4a5a4559a064b76e2", level: .error,
        subject: "The former content of the file @GOSSIPD_FILE@ was put back",
        meaning: """
            The new content had passed its check, but the reload failed with it: @GOSSIPD_REASON@
            The former content is in place again, and the reload was repeated with it. The new one
            is tried again every five minutes, and when its keys change.
            """,
        action: "See why the service did not take it (systemctl status, journalctl), and correct the keys.")

    static let renderRecoveredDescription = Description(
        messageID: "e69b8d074f7a4e1db3e6458a192d8c83", level: .notice,
        subject: "The file @GOSSIPD_FILE@ is as the keys say again",
        meaning: "What kept it from being delivered is over.",
        action: "Nothing.")

    static let renderReloadedDescription = Description(
        messageID: "01cd063ef13e44dd9e5cea14374fa3e7", level: .info,
        subject: "Reloaded @GOSSIPD_TARGET@",
        meaning: """
            Files that ask for it have changed: once for all of them. Or it was done again with
            their former content, after it had failed with the new one.
            """,
        action: "Nothing.")
}
