// SPDX-License-Identifier: Apache-2.0
// Owns the tests of versions and ids over a recovery: what the lost majority had given is not given again.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("What a recovered group numbers")
struct NumberTests {
    @Test("Versions, leases and tokens that were lost with the majority do not come again", arguments: 1...4)
    func notGivenTwice(seed: UInt64) throws {
        var village = Village(nodes: 4, seed: seed)
        village.judge.mayHaveGroups = 2
        #expect(village.run(within: .seconds(10)) { $0.leader != nil })
        _ = village.put("s/a", "kept", on: node(4))
        village.run(for: .seconds(1))
        let last = try #require((1...3).map(node).first { $0 != village.leader })
        village.crash(last)
        var lost: Set<UInt64> = []
        for number in 0..<20 {
            if case .answer(.put(_, let version)) = village.put("s/a", "lost\(number)", on: node(4)) {
                lost.insert(version)
            }
            if case .answer(.lease(let id, _)) = village.get(.change(.grantLease(milliseconds: 5_000)), on: node(4)) {
                lost.insert(id)
            }
        }
        #expect(lost.count == 40)
        for number in 1...3 where node(number) != last { village.crash(node(number)) }
        // What it tells from here on are changes of another group, counted on from what this node had.
        village.judge.group = 1
        village.restart(last)
        village.run(for: .seconds(2))
        _ = village.get(.operate(.recover(evenIfBehind: false)), on: last)
        #expect(village.run(within: .seconds(5)) { $0.leader == last })
        var given: [UInt64] = []
        for number in 0..<40 {
            if case .answer(.put(_, let version)) = village.put("s/a", "new\(number)", on: last) {
                given.append(version)
            }
            if case .answer(.lease(let id, _)) = village.get(.change(.grantLease(milliseconds: 5_000)), on: last) {
                given.append(id)
            }
        }
        #expect(given.count == 80 && given == given.sorted() && lost.isDisjoint(with: given))
        #expect(given.allSatisfy { $0 > StrictNode.versionStep })
        #expect(village.judge.violations.isEmpty)
    }
}
