// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of the events that the helper of delivery, gossipd-apply, logs: what each means and what to do.

internal import Logging

extension EventKind {
    static let helperAppliedDescription = Description(
        messageID: "af6282f4b50f45da915b9c8c20f0b186", level: .notice,
        subject: "The helper has put the file @GOSSIPD_FILE@ in place",
        meaning: """
            gossipd-apply has written what the daemon rendered, and its check has passed. The reload that
            it asks for, if any, is an entry of its own.
            """,
        action: "Nothing.")

    static let helperIncompleteDescription = Description(
        messageID: "d9890ec8ee7044a9a609b42228341dce", level: .warning,
        subject: "The file @GOSSIPD_FILE@ is in place, but not all that belongs to it is done",
        meaning: "gossipd-apply has written it, and then: @GOSSIPD_REASON@",
        action: "Do what the reason says, or look at the disk and at the service that reads the file.")

    static let helperRefusedDescription = Description(
        messageID: "9e2967a2f7f041808739b84442ceb30c", level: .warning,
        subject: "The helper refused the file @GOSSIPD_FILE@",
        meaning: """
            No description of root names it, its content is empty, too small or too large, or its check
            said no: @GOSSIPD_REASON@
            The former content is still in place.
            """,
        action: """
            Look at it with gossipctl render plan @GOSSIPD_FILE@, and correct the keys, the template or the
            description.
            """)

    static let helperFailedDescription = Description(
        messageID: "4f215bd8233f479b8c0070da6f22f9aa", level: .error,
        subject: "The helper could not write the file @GOSSIPD_FILE@",
        meaning: """
            This host does not allow it: @GOSSIPD_REASON@
            The former content is still in place, and it is tried again.
            """,
        action: """
            Do what the reason says. What the helper may write is in Docs/delivery.md, "The helper and its
            rights".
            """)

    static let helperRolledBackDescription = Description(
        messageID: "5e8e60dbcf9b4786a79581e6d4cabe6c", level: .error,
        subject: "The helper put the former content of the file @GOSSIPD_FILE@ back",
        meaning: "The new content had passed its check, but the reload failed with it: @GOSSIPD_REASON@",
        action: "See why the service did not take it (systemctl status, journalctl), and correct the keys.")

    static let helperReloadedDescription = Description(
        messageID: "48d7889374364377a639e4837c38cd2b", level: .notice,
        subject: "The helper reloaded @GOSSIPD_TARGET@",
        meaning: "Files that ask for it have changed, or were put back: @GOSSIPD_FILES@",
        action: "Nothing.")

    static let helperReloadFailedDescription = Description(
        messageID: "b4bf655c597a458f935420bd4deeff72", level: .error,
        subject: "The reload of @GOSSIPD_TARGET@ failed",
        meaning: """
            The files that asked for it (@GOSSIPD_FILES@) get their former content back, and it is reloaded
            once more: @GOSSIPD_REASON@
            """,
        action: "See why the service did not take it (systemctl status, journalctl), and correct the keys.")

    static let helperTurnedAwayDescription = Description(
        messageID: "908eec6988cc419ca78f5af88d276d52", level: .warning,
        subject: "The helper turned a connection away",
        meaning: "Nothing was done for it: @GOSSIPD_REASON@",
        action: """
            Find out who asks, if it was another user. After an upgrade "systemctl restart gossipd" ends a
            disagreement of versions.
            """)

    static let helperDescriptionInvalidDescription = Description(
        messageID: "94a4c6b527ff43ec90106249936672bd", level: .error,
        subject: "The helper cannot use a description",
        meaning: "Nothing is written for it, whatever the daemon asks: @GOSSIPD_REASON@",
        action: """
            Correct the file, or who may write it. "gossipd check-config FILE", run as root, names every
            problem.
            """)

    static let helperEndedDescription = Description(
        messageID: "cde5e6e987e84f7ba93d2622406a4ed5", level: .critical,
        subject: "The helper cannot go on",
        meaning: "gossipd-apply ends with status 1: @GOSSIPD_REASON@",
        action: "Remove the cause that is named. systemd starts the helper again by itself.")
}
