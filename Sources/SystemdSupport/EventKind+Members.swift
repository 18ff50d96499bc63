// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of the events about members: what each means and what to do.

internal import Logging

extension EventKind {
    static let memberJoinedDescription = Description(
        messageID: "b2a2fad57f744df0aa53fc4e11b28b04", level: .notice,
        subject: "Member @GOSSIPD_MEMBER@ joined the cluster",
        meaning: """
            This node has heard of the member for the first time.
            Its address is @GOSSIPD_ADDRESS@.
            """,
        action: """
            Nothing, when the member was expected. Otherwise find out who started it and where
            it got the name of the cluster; "gossipctl members" shows it.
            """)

    static let memberAliveDescription = Description(
        messageID: "02134c0da7c142549f41e6badd0e5f33", level: .notice,
        subject: "Member @GOSSIPD_MEMBER@ is alive again",
        meaning: "The member was suspected, failed, left or forgotten, and has answered again.",
        action: """
            Nothing. If this happens often, "gossipctl member explain @GOSSIPD_MEMBER@" shows
            which probes fail.
            """)

    static let memberSuspectedDescription = Description(
        messageID: "c20fcc4f758d48f88d7ddc9d3111b2a3", level: .notice,
        subject: "Member @GOSSIPD_MEMBER@ is suspected to have failed",
        meaning: """
            Neither a direct probe nor relays nor a stream got an answer, or another member
            says so. The member may still refute it: @GOSSIPD_REASON@
            """,
        action: "Nothing yet. Many short suspicions point to an overloaded host or to a lossy network.")

    static let memberFailedDescription = Description(
        messageID: "6d408fe09c2346f184487a35e901e672", level: .warning,
        subject: "Member @GOSSIPD_MEMBER@ failed",
        meaning: """
            The suspicion ran out without an answer from the member: @GOSSIPD_REASON@
            It is tried again until it comes back or is forgotten.
            """,
        action: """
            Look at that host: is it up, does gossipd run, do UDP and TCP reach its port?
            "gossipctl member explain @GOSSIPD_MEMBER@" shows the evidence. If the host is gone
            for good, run "gossipctl forget @GOSSIPD_MEMBER@".
            """)

    static let memberLeftDescription = Description(
        messageID: "fa795c40ba634924bc642d20b4df44e5", level: .notice,
        subject: "Member @GOSSIPD_MEMBER@ left the cluster",
        meaning: "The member said that it stops.",
        action: "Nothing. It shows as left until it returns or its entry expires.")

    static let memberForgottenDescription = Description(
        messageID: "2f3b198dc30e40a38f0ab31e1dd2e4ef", level: .notice,
        subject: "Member @GOSSIPD_MEMBER@ was forgotten",
        meaning: "An operator removed the member from the table of every node.",
        action: "Nothing. A living node that was forgotten by mistake comes back when it is restarted.")

    static let memberReapedDescription = Description(
        messageID: "5760d594cc8e445980c452d210b3030e", level: .info,
        subject: "The entry of member @GOSSIPD_MEMBER@ expired",
        meaning: "The member was failed or left for longer than membership.failed_retention.",
        action: "Nothing.")

    static let memberUDPBlockedDescription = Description(
        messageID: "100ffaee7b7a4c209c28d9ccf2700b4e", level: .warning,
        subject: "Datagrams do not reach member @GOSSIPD_MEMBER@",
        meaning: """
            The member answers probes over TCP streams, but not over UDP, neither from this node nor
            through others. It counts as alive; configuration changes reach it late, by repair.
            """,
        action: "Open the port for UDP as well as TCP in every firewall between the two hosts.")

    static let memberUDPRestoredDescription = Description(
        messageID: "5e0c9d1b7f3a4c6f8a2d41b6903e7c58", level: .notice,
        subject: "Datagrams reach member @GOSSIPD_MEMBER@ again",
        meaning: "The member answers probes over UDP again, after it had answered over TCP streams alone.",
        action: "Nothing.")

    static let memberUpdatedDescription = Description(
        messageID: "aa563d4f454242c9a82a1d667d692b47", level: .info,
        subject: "Member @GOSSIPD_MEMBER@ changed its name, address or tags",
        meaning: "The member announced a new description of itself.",
        action: "Nothing.")

    static let memberNameConflictDescription = Description(
        messageID: "744e476f61a04e53ab7c0241648ae097", level: .warning,
        subject: "Two members use the name @GOSSIPD_MEMBER@",
        meaning: "Two nodes with different ids carry one name. Both stay in the cluster.",
        action: """
            Give one of them another name (the key "name" or --name) and restart it.
            "gossipctl members" marks both and shows their addresses.
            """)

    static let memberForgedDescription = Description(
        messageID: "5d0f5f6c2a5e4f0f9c1b7d2e8a4c6b31", level: .warning,
        subject: "A statement in the name of @GOSSIPD_MEMBER@ was refused",
        meaning: """
            Somebody who holds the cluster's key said something in the name of this member, but
            not with the key that the member signs with: @GOSSIPD_REASON@
            Nothing of it was taken over.
            """,
        action: """
            Find the host that sends this: it holds the cluster's key; change that key. If the
            member's own file "identity" was edited, so that it has its old id with a new signing
            seed, move that file away on the member and start it: it gets a new id.
            """)

    static let memberEquivocatedDescription = Description(
        messageID: "b7a1c9d04e3f4a6f8d52e09c7b1f3a64", level: .error,
        subject: "@GOSSIPD_MEMBER@ said two different things at once",
        meaning: """
            Two statements of one member contradict each other, and both carry its signature:
            two processes have one identity, or the host is not honest. All members keep the
            same one of the two.
            """,
        action: """
            Look for a cloned disk or a copied data directory. Stop one of the two processes,
            remove the copied data directory and start it again. "gossipctl member explain"
            shows both statements with their signatures.
            """)

    static let selfRefutedDescription = Description(
        messageID: "d8b99a9246c44dab96b4c388d9c4729f", level: .notice,
        subject: "This node refuted a report of its own failure",
        meaning: """
            Another member did not get answers from this node and said so: @GOSSIPD_REASON@
            This node has told the cluster that it is alive.
            """,
        action: """
            If this happens often, this host is overloaded, stalls or loses packets: look at its
            CPU, its memory and its network.
            """)

    static let awarenessChangedDescription = Description(
        messageID: "fd71d94c3a5d45b1832620c7965981a4", level: .info,
        subject: "This node's distrust of itself changed",
        meaning: """
            The node rates its own health from answers that it expected and did not get. While
            the score is above zero it probes more slowly and accuses later.
            """,
        action: "A score that stays high points to this host or to its link, not to its peers.")

    static let identityInUseDescription = Description(
        messageID: "1a2c8d52eb0240e0a3b8fd88fbf49906", level: .critical,
        subject: "Another process uses the id of this node",
        meaning: """
            A second living process has the same node id: a data directory was copied, as with
            a cloned disk. The one that started later refuses to serve.
            """,
        action: """
            Remove the copied data directory of the later one, so that the host gets an id of
            its own, and start it again.
            """)

    static let evictedDescription = Description(
        messageID: "3f6d0c1be2a74c0d9a58d7f64e1b2c95", level: .warning,
        subject: "An operator took this node out of the cluster",
        meaning: """
            "gossipctl forget --force" was run for this node on another member. It leaves and
            stops; it is not started again by itself.
            """,
        action: """
            If that was a mistake, start it again: it joins as before. To keep it away for good,
            disable the service and remove its data directory.
            """)
}
