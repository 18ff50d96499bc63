// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of the events about strict keys: what each means and what to do.

internal import Logging

extension EventKind {
    static let strictFoundedDescription = Description(
        messageID: "46dad2927f244bd19c5e79dc1367cc89", level: .notice,
        subject: "The strict group has formed",
        meaning: """
            The voters of strict.voters have seen each other and founded the group that keeps
            the strict keys. That happens once; afterwards its own log decides who votes.
            """,
        action: "Nothing.")

    static let strictElectionDescription = Description(
        messageID: "9e4fa6d58cf940b5a3a06cf08c8d67f8", level: .info,
        subject: "An election in the strict group has begun",
        meaning: """
            This node stands for the leadership of the strict group: @GOSSIPD_REASON@
            Further attempts of the same election are not told.
            """,
        action: "Nothing, when a leader follows. Otherwise see \"gossipctl strict members\".")

    static let strictLeaderChangedDescription = Description(
        messageID: "cd6a8adf698f4b75ada08720dae390d3", level: .notice,
        subject: "The strict group has another leader",
        meaning: """
            Strict keys are read and written through @GOSSIPD_MEMBER@ from now on: @GOSSIPD_REASON@ (on
            nodes that are no members gossip).
            """,
        action: "Nothing. If it happens often, look at the network and the disks of the voters.")

    static let strictLeaderLostDescription = Description(
        messageID: "c72d703e12bd48c8a84b0a68af9e90c2", level: .warning,
        subject: "The strict group has no leader",
        meaning: """
            This node knows of no leader: @GOSSIPD_REASON@ (on nodes that are no members silent: nothing
            new was heard of the last one; unreached: it is not reached).
            Until there is one, strict keys are not written, and read only with
            --consistency local.
            """,
        action: """
            Nothing for a second or two: an election takes that long. Then see "gossipctl strict
            members" for voters that are not reached, and bring a majority of them back.
            """)

    static let strictSteppedDownDescription = Description(
        messageID: "ca69db5a442d4e07a4410c3d39ec5dfe", level: .warning,
        subject: "This node has given up the leadership of the strict group",
        meaning: """
            The reason: @GOSSIPD_REASON@ (quorum_lost: too few voters were heard of; disk_stalled: its
            disk did not finish a write for an election timeout).
            """,
        action: """
            For quorum_lost look at the network and at the other voters, for disk_stalled at this
            host's disk (iostat -x 1, the kernel's log).
            """)

    static let strictMembersChangedDescription = Description(
        messageID: "85de6d0edc0040f6a444ae81396f4051", level: .notice,
        subject: "The members of the strict group have changed",
        meaning: "A voter or learner was added, promoted or removed; the message names them all.",
        action: "If you do not know of it, find out who did it; \"gossipctl strict members\" shows the group.")

    static let strictTransferDescription = Description(
        messageID: "beca719fce974362a814545d267be04a", level: .info,
        subject: "Leadership of the strict group is handed over",
        meaning: "To @GOSSIPD_MEMBER@: @GOSSIPD_REASON@ (began; aborted: it did not take over in time).",
        action: "Nothing. After aborted the old leader goes on.")

    static let strictSnapshotDescription = Description(
        messageID: "8d3d4181790c4003bf9756a75a91794d", level: .info,
        subject: "The strict state travels as a whole",
        meaning:
            "A member was so far behind that the log alone does not help it: @GOSSIPD_REASON@ (sending, installed).",
        action: "Nothing.")

    static let strictRefetchedDescription = Description(
        messageID: "e0836a35c9dd4c8d82de5d27cc9baf83", level: .notice,
        subject: "The strict log of this node is whole again",
        meaning: "It was damaged, was fetched from the others, and this node votes and counts again.",
        action: "Check the disk that damaged it (dmesg, smartctl), if you have not yet.")

    static let strictRefusedDescription = Description(
        messageID: "89295c1aa6f5424da8d1df76becae518", level: .warning,
        subject: "A message of the strict group was refused",
        meaning: "Member @GOSSIPD_MEMBER@ sent what no honest member sends: @GOSSIPD_REASON@",
        action: "Check the version of gossipd on that host, and its memory and disk.")

    static let strictForeignGroupDescription = Description(
        messageID: "0d0c8550fc4f467097f152800ca86112", level: .error,
        subject: "A member belongs to another strict group",
        meaning: """
            Member @GOSSIPD_MEMBER@ speaks for a strict group that is not this node's: it was in another
            cluster, or this group was recovered without it.
            """,
        action: "Run gossipctl doctor: it says which hosts belong to which group, and what to do.")

    static let strictUnknownFormatDescription = Description(
        messageID: "594dd7c9a31a4bd0b05f0f63daa84b33", level: .error,
        subject: "A later gossipd has written the strict log",
        meaning: "The log holds an entry in a format that this version does not know. It applies nothing behind it.",
        action: "Upgrade this node as the others were.")

    static let strictRecoveredDescription = Description(
        messageID: "ef4650561dbc412cb236029a9c241060", level: .warning,
        subject: "The strict group was recovered by an operator",
        meaning: """
            This node is the only voter now, with what it held. Writes that only the former
            voters had are gone.
            """,
        action: "Keep the former voters stopped, and add new ones: gossipctl strict add NAME.")

    static let strictRemovedDescription = Description(
        messageID: "4c0d58e1a3c24e7fa1f49e0f2d6b7a35", level: .warning,
        subject: "This node was removed from the strict group",
        meaning: """
            An operator has taken it out, perhaps while it was down. It votes no more and keeps no
            log; strict keys are read and written through the leader, as on any client.
            """,
        action: """
            Nothing, if that was wanted. To let it vote again, start it with an empty data
            directory and say gossipctl strict add NAME on another host.
            """)
    static let strictCopiesCorrectedDescription = Description(
        messageID: "b1d0c4a5a7c54f7b9f0e5a3c6c2f8e47", level: .notice,
        subject: "Copies of strict keys were corrected",
        meaning: """
            Copies of @GOSSIPD_COUNT@ keys on this node or others held what a lost majority or an earlier
            strict group had written. They are told anew as the group has them; keys that it does not
            have are deleted. The history of each key shows it.
            """,
        action: "If something is missed, read it from the key's history: gossipctl kv history KEY.")

    static let strictLockChangedDescription = Description(
        messageID: "917d75798685421681e680a48f6e8d28", level: .debug,
        subject: "A lock has gone from hand to hand",
        meaning: "The lock @GOSSIPD_LOCK@ was obtained, handed on or given back, or its holder's lease ran out.",
        action: "Nothing.")
}
