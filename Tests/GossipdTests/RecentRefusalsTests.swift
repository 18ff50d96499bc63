// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what `doctor` says of refused packets.

import AdminModel
import ClusterTypes
import Sealing
import Testing

@testable import gossipd

@Suite("Recent refusals")
struct RecentRefusalsTests {
    @Test("each host is told once for each reason, for five minutes, and sixteen of them at most")
    func findings() {
        let refusals = RecentRefusals()
        let now = ContinuousClock.now
        refusals.note(.unknownKey, from: Address(ipv4: 0x0a00_0001, port: 7_946), now: now)
        refusals.note(.unknownKey, from: Address(ipv4: 0x0a00_0001, port: 41_000), now: now + .seconds(60))
        refusals.note(.plain, from: Address(ipv4: 0x0a00_0001, port: 7_946), now: now + .seconds(61))
        let found = refusals.findings(now: now + .seconds(62))
        #expect(found.map(\.evidence["reason"]) == ["unknown_key", "plain"])
        #expect(found.first?.summary.hasPrefix("packets from 10.0.0.1:41000 are refused: ") == true)
        #expect(refusals.findings(now: now + .seconds(360)).count == 1)
        #expect(refusals.findings(now: now + .seconds(361)).isEmpty)
        for number in 0..<40 as Range<UInt32> {
            refusals.note(.silent, from: Address(ipv4: 0x0a00_0100 + number, port: 1), now: now + .seconds(400))
        }
        #expect(refusals.findings(now: now + .seconds(400)).count == 16)
    }
}
