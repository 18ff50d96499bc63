// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of the events about joining and the store: what each means and what to do.

internal import Logging

extension EventKind {
    static let joinSucceededDescription = Description(
        messageID: "beb2d4dcdc17424a8b56a0515651f049", level: .notice,
        subject: "Joined the cluster",
        meaning: "A node of \"join\", or a remembered peer, answered and sent its member table.",
        action: "Nothing.")

    static let joinFailedDescription = Description(
        messageID: "a5a157b21bf34d0580384313d75de0b0", level: .warning,
        subject: "A node to join did not answer",
        meaning: """
            This attempt failed: @GOSSIPD_REASON@
            It is tried again, more and more rarely.
            """,
        action: """
            If no other node answers either: check the addresses in "join", the port and the
            firewall for UDP and TCP, and that both sides have the same "cluster".
            """)

    static let syncCompletedDescription = Description(
        messageID: "29605425f0dc4d1683e159383ca94845", level: .debug,
        subject: "Synchronised the store with a peer",
        meaning: "Two stores differed and have exchanged what the other one lacked.",
        action: "Nothing.")

    static let typeConflictDescription = Description(
        messageID: "e811d7c7605b46739573f5496cec4d67", level: .warning,
        subject: "A key was created with two types at once",
        meaning: """
            Two nodes created one key with different types while they could not talk. The later
            one stands; the other value was kept aside.
            """,
        action: "Read both values, decide which one is right and write it again.")

    static let quarantineDescription = Description(
        messageID: "b1d626e264eb49d68d2afa136bc5ed60", level: .warning,
        subject: "A change from the future was put aside",
        meaning: """
            The stamp of a change is further ahead of this host's clock than
            store.max_clock_skew. It was neither applied nor forwarded.
            """,
        action: """
            Compare the clocks of this host and of the author, and repair time synchronisation
            (timedatectl). Then write the change again.
            """)

    static let packetRejectedDescription = Description(
        messageID: "daf78d1d15374767bc902c7893208cf9", level: .info,
        subject: "A packet was rejected",
        meaning: """
            A packet from @GOSSIPD_ADDRESS@ could not be used: @GOSSIPD_REASON@
            This is counted each time and told rarely.
            """,
        action: """
            If the sender is one of your hosts: check its keys, "cluster" and version. Otherwise
            close the port to it.
            """)

    static let accessDeniedDescription = Description(
        messageID: "4d678fbe39ec44658be4b0b9a36ad77a", level: .notice,
        subject: "A request to the admin socket was denied",
        meaning: "The user who asked has no role that allows the request.",
        action: """
            If the user should be allowed: add it to admin_users or read_users, or to a group of
            admin_groups or read_groups, in [admin].
            """)
}
