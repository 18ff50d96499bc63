// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of the events about the daemon itself: what each means and what to do.

internal import Logging

extension EventKind {
    static let startedDescription = Description(
        messageID: "9ac9103ce0434dae9a37a8896bb5623c", level: .notice,
        subject: "gossipd has started",
        meaning: "The admin socket answers, and the node looks for its cluster.",
        action: "Nothing.")

    static let leavingDescription = Description(
        messageID: "7a48e38c338b42f69fbb7b89f9442a88", level: .notice,
        subject: "This node is leaving the cluster",
        meaning: """
            The node tells its peers that it stops and waits for them to acknowledge, at most
            for leave_timeout.
            """,
        action: "Nothing.")

    static let stoppingDescription = Description(
        messageID: "cfe78ceb91ed426e9b2d9831e5d15570", level: .notice,
        subject: "gossipd is stopping",
        meaning: """
            The daemon was told to stop: @GOSSIPD_REASON@ (signal: this host leaves the cluster first;
            restart: it comes back at once and does not leave; left: gossipctl leave).
            """,
        action: "Nothing.")

    static let stoppedDescription = Description(
        messageID: "e93111b3003a4c2f971591f5519944ce", level: .notice,
        subject: "gossipd has stopped",
        meaning: "Its identity and the configuration are on disk.",
        action: "Nothing.")

    static let reloadedDescription = Description(
        messageID: "c6f4f89bff3849ae8b1c89892f9200c3", level: .notice,
        subject: "The configuration was loaded again",
        meaning: "The log level, the tags and the nodes to join are in force as the file says now.",
        action: "Nothing.")

    static let reloadFailedDescription = Description(
        messageID: "8a3357f2164b409981163d1fb023329f", level: .error,
        subject: "The configuration could not be loaded again",
        meaning: "The file has errors. The daemon goes on with what it had: @GOSSIPD_REASON@",
        action: "Run \"gossipd check-config FILE\", correct what it names, and reload again.")

    static let restartRequiredDescription = Description(
        messageID: "12eb3ebab20c41cabaae504d604ae42b", level: .warning,
        subject: "A changed setting waits for a restart",
        meaning: "The key @GOSSIPD_KEY@ has a new value that cannot take effect while the daemon runs.",
        action: "Restart the daemon when it suits: systemctl restart gossipd.")

    static let configurationInvalidDescription = Description(
        messageID: "4abc200c80d746f093526a5edaabe59b", level: .critical,
        subject: "The configuration is not valid",
        meaning: "The daemon did not start (status 78): @GOSSIPD_REASON@",
        action: "Run \"gossipd check-config FILE\" and correct what it names.")

    static let startFailedDescription = Description(
        messageID: "6c1b60d2f5ac4f1b9f0e64f3f2f7a85d", level: .critical,
        subject: "gossipd could not start",
        meaning: """
            The daemon ended with status @GOSSIPD_EXIT_STATUS@: @GOSSIPD_REASON@
            systemd starts it again after 74 (storage) and 75 (address, directory or socket in use), not
            after 77 (permission denied) and 78 (configuration).
            """,
        action: """
            Remove the cause that is named. If systemd has given up, "systemctl reset-failed gossipd" and
            "systemctl start gossipd".
            """)

    static let storageFailedDescription = Description(
        messageID: "83274f807af84be5904aff93b1525230", level: .critical,
        subject: "The data directory could not be written",
        meaning: """
            A write to disk failed: @GOSSIPD_REASON@
            The daemon ends (status 74), because it must not acknowledge what may be lost.
            """,
        action: "Check space (df), the file system and the disk (journalctl -k). Then start it again.")

    static let loopStalledDescription = Description(
        messageID: "84fa6098696f43a8b731ae0fe3debe4a", level: .warning,
        subject: "This process was not running for a while",
        meaning: """
            The daemon noticed that it did not get the processor in time. Peers may have
            suspected it meanwhile.
            """,
        action: "Look for CPU or memory pressure on this host, or for a suspended virtual machine.")

    static let logEntriesLostDescription = Description(
        messageID: "9933b82ad455499faced19177d4c5666", level: .warning,
        subject: "Log entries were lost",
        meaning: "Whoever reads the log did not keep up, and the daemon does not wait for it.",
        action: "Look at systemd-journald, or at the program that reads standard error.")
}
