// SPDX-License-Identifier: Apache-2.0
// Owns the scenarios in text: stories of a small group, command by command, with what came of it.

import ClusterTypes
import RaftCore
import ScenarioText
import Testing

/// `ScenarioFolder` says what the files look like.
@Suite("Raft in scenarios")
struct ScenarioTests {
    static let folder = ScenarioFolder(besideTest: #filePath)
    static let files = [
        "election", "pre-vote", "check-quorum", "conflict", "figure-8", "read-index", "transfer", "learner",
        "membership", "snapshot", "disk-stall", "refetch", "pause",
    ]

    @Test("a scenario ends as its file says", arguments: files)
    func scenario(file: String) throws {
        var player = ScenarioPlayer()
        let difference = try Self.folder.difference(of: file, with: &player)
        #expect(difference == nil)
        #expect(player.violations.isEmpty, "\(player.violations)")
    }

    @Test("every file in the folder is played")
    func noFileForgotten() throws {
        #expect(try Self.folder.names() == Self.files.sorted())
    }
}
