// SPDX-License-Identifier: Apache-2.0
// Owns the bytes of the strict group's messages, written by hand.

import ClusterTypes
import NodeKernel
import RaftCore
import StoreCore
import StrictCore
import StrictGroup
import WireProtocol

extension Golden {
    private static let group: UInt64 = 0xe1e2_e3e4_e5e6_e7e8
    private static let groupHex = "e1e2e3e4e5e6e7e8"
    private static let feed = ActorID.strictFeed(group: group)

    /// No key is refused here.
    private static func change(_ text: String) -> StrictForward {
        .change(nil, StrictKey(text).map { .put($0, value: [0x76], lease: 0) } ?? .registerSession)
    }

    private static func raft(_ body: RaftMessage.Body) -> Message {
        .strict(.raft(group: group, RaftMessage(from: Raw.sender, to: Raw.other, term: 3, body: body)))
    }

    static let strictKeys: [Golden] = [
        Golden(
            name: "row: of the strict log",
            message: .row(
                Row(
                    id: RowID(key: "app/port", part: .register), versions: [Dot(actor: feed, counter: 5)], stamp: stamp,
                    author: feed, content: .register([0x38, 0x30]), details: EventDetails(index: 300))),
            hex: "07 002f 09 08 6170702f706f7274 01 7374726963740000 \(groupHex) 00000000 05 0191000000000001 01"
                + "ac02 01 02 3830"),
        Golden(
            name: "strict: append of two entries",
            message: raft(
                .append(
                    AppendRequest(
                        previous: LogPosition(term: 2, index: 7), commit: 6,
                        entries: [
                            LogEntry(term: 2, index: 8, payload: .command([0x68, 0x69])),
                            LogEntry(term: 3, index: 9, payload: .empty),
                        ]))),
            hex: "24 0036 01 \(groupHex) \(a) \(b) 03 05 02 07 06 02 02 01 02 6869 03 00"),
        Golden(
            name: "strict: heartbeat", message: raft(.heartbeat(commit: 300, round: 4)),
            hex: "24 002e 01 \(groupHex) \(a) \(b) 03 07 ac02 04"),
        Golden(
            name: "strict: forwarded call", message: .strict(.forward(id: 9, change("k/a"))),
            hex: "24 000f 02 09 01 0b 03 00 00 04 03 6b2f61 01 76 00"),
        Golden(
            name: "strict: answer",
            message: .strict(.forwarded(id: 9, .reply(.answer(.put(version: 1, modified: 300))))),
            hex: "24 0008 03 09 01 04 03 01 ac02"),
        Golden(
            name: "strict: no leader here", message: .strict(.forwarded(id: 9, .notLeader(Raw.other))),
            hex: "24 0013 03 09 06 \(b)"),
        Golden(
            name: "strict: founding",
            message: .strict(
                .founding(
                    .accept(
                        FoundingBallot(round: 2, proposer: Raw.sender),
                        StrictFounding(group: group, voters: [Raw.other])))),
            hex: "24 002c 04 04 02 \(a) \(groupHex) 01 \(b)"),
        Golden(
            name: "strict: removed", message: .strict(.removed(group: group)), hex: "24 0009 05 \(groupHex)"),
        Golden(
            name: "strict: how do you stand", message: .strict(.survey(id: 5, group: group)),
            hex: "24 000a 06 05 \(groupHex)"),
        Golden(
            name: "strict: how a node stands",
            message: .strict(
                .surveyed(
                    id: 5,
                    StrictSurvey(
                        group: group, term: 3, last: LogPosition(term: 3, index: 300), leader: Raw.other, canVote: true,
                        isRecovering: false))),
            hex: "24 0021 07 05 01 \(groupHex) 03 03 ac02 \(b) 01 00"),
        Golden(
            name: "strict mark",
            message: .strictMark(
                StrictMark(
                    group: group, term: 3, leader: Raw.sender, changes: 300, wall: 5, voters: [Raw.sender, Raw.other])),
            hex: "25 003d \(groupHex) 03 \(a) ac02 05 02 \(a) \(b)"),
    ]
}
