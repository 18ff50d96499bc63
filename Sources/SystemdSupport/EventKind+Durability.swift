// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of the events about the durable store: disk, clock, collection, reset.

internal import Logging

extension EventKind {
    static let storeResetDescription = Description(
        messageID: "bfc20bb437d44792986b908a1eff8f49", level: .warning,
        subject: "The store was replaced by a peer's",
        meaning: """
            This node was away for longer than store.collection_grace, or its clock was far ahead, so
            its store could not be merged. It took over the whole store of a peer at once. Writes of
            its own that nobody else had were put into the import queue.
            """,
        action: "Look at the queue with gossipctl kv import --queued and apply or drop each write.")

    static let collectedDescription = Description(
        messageID: "cfae264fb50c4eb39a2fcd4600e7c04d", level: .info,
        subject: "Deleted entries were forgotten",
        meaning: """
            Every member of record holds these deletions and store.collection_grace is over, so they
            were dropped everywhere.
            """,
        action: "Nothing.")

    static let clockOutlierDescription = Description(
        messageID: "48321fcfd3c84b0a840c621e2282357a", level: .error,
        subject: "This host's clock disagrees with most others",
        meaning: """
            More than half of the members whose clocks are known differ from this host's clock by more
            than store.max_clock_skew. The node takes no writes until they agree.
            """,
        action: "Repair time synchronisation on this host (timedatectl, chronyc tracking).")

    static let clockRecoveredDescription = Description(
        messageID: "0a1342fcaf7c412b829afcf38cbc78a8", level: .notice,
        subject: "This host's clock agrees with the others again",
        meaning: "The node takes writes again.",
        action: "Nothing.")

    static let storageFullDescription = Description(
        messageID: "f1a3b658e7ef4093b6bba3832963016e", level: .error,
        subject: "The disk under the data directory is full",
        meaning: """
            Nothing can be made durable: writes are refused, changes of peers are put off. Reads,
            membership and watches go on. What waits is tried again every second.
            """,
        action: "Make room on the disk of data_dir. No restart is needed.")

    static let storageRecoveredDescription = Description(
        messageID: "81b26d3f3e444b329fec8f64a7e4e8f0", level: .notice,
        subject: "The disk takes writes again",
        meaning: "What waited was made durable.",
        action: "Nothing.")

    static let storageSlowDescription = Description(
        messageID: "c7994d1ccbff47f9a3ddca748e651aa0", level: .warning,
        subject: "The disk is slow",
        meaning: """
            One commit has taken longer than a second. Writes are answered only when they are durable,
            so clients wait.
            """,
        action: "Look for other load on the disk (iostat -x 1) and for errors in the kernel's log.")

    static let catchUpDescription = Description(
        messageID: "396ddf609b6341a693d2ecff10cdfc54", level: .info,
        subject: "Fetching many entries from a peer",
        meaning: "This node lacks much of the store and is being sent it; see gossipctl status.",
        action: "Nothing.")

    static let storeSetAsideDescription = Description(
        messageID: "0ca29c21cb944cd6a20f4cd4d5c9c63e", level: .critical,
        subject: "The store's database was damaged and set aside",
        meaning: """
            The database could not be read or its checksums were wrong: @GOSSIPD_REASON@
            It was moved aside, nothing was deleted. The node begins empty and fetches all entries from
            a peer under a new actor id.
            """,
        action: """
            Check the disk (dmesg, smartctl). If no peer holds the store, restore a backup. Keep the
            file for analysis, then delete it.
            """)
}
