// SPDX-License-Identifier: Apache-2.0
// Owns the tests of `kv verify` between kernels.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Verification")
struct VerifyTests {
    private func report(_ pair: ExchangePair, _ id: CommandID) -> Verification? {
        guard case .verified(let report)? = pair.left.answers(to: id).first else { return nil }
        return report
    }

    private func pair(_ left: [Row], _ right: [Row]) -> ExchangePair {
        ExchangePair(
            .holding(store(left), peers: [2]), .holding(store(right, number: 2), number: 2, peers: [1]))
    }

    /// Runs until the client is answered.
    private func verify(_ pair: inout ExchangePair, deadline: Interval = .seconds(5)) -> Verification? {
        let id = pair.left.command(.verify(deadline: deadline))
        pair.run(deadline + .milliseconds(100)) { !$0.left.answers(to: id).isEmpty }
        return report(pair, id)
    }

    @Test("equal stores are found equal in one round trip", arguments: [0, 10, 5_000])
    func equal(count: Int) {
        var pair = pair(rows(0..<count), rows(0..<count))
        let report = verify(&pair)
        #expect(report?.peers.map(\.result) == [.equal])
        #expect(report?.rows == count)
        #expect(report?.root == pair.left.kernel.store.root)
        #expect(pair.roundTrips == 1)
    }

    @Test("a difference is named by its range, and nothing moves", arguments: [true, false])
    func different(isOurs: Bool) {
        let all = rows(0..<5_000)
        let less = all.filter { $0.id.key != all[1_234].id.key }
        var pair = isOurs ? pair(all, less) : pair(less, all)
        guard case .different(let ranges)? = verify(&pair)?.peers.first?.result else {
            Issue.record("no difference was found")
            return
        }
        #expect(ranges.count == 1)
        #expect(ranges[0].first <= all[1_234].id.key)
        #expect(ranges[0].end.map { $0 > all[1_234].id.key } ?? false)
        #expect(!pair.messages.contains { if case .row = $0 { true } else { false } })
        #expect(pair.left.kernel.store.rowCount + pair.right.kernel.store.rowCount == 9_999)
    }

    @Test("a write under way is no difference")
    func underWay() {
        let all = rows(0..<3_000)
        var pair = pair(Array(all.dropLast()), all)
        let id = pair.left.command(.verify(deadline: .seconds(5)))
        pair.run(.milliseconds(100))
        #expect(pair.left.answers(to: id).isEmpty)
        pair.left.hear([.row(all[2_999])], from: 2)
        pair.run(.seconds(1))
        #expect(report(pair, id)?.peers.map(\.result) == [.equal])
    }

    @Test("whoever cannot be asked is named with the reason, within the deadline")
    func unknown() {
        var bench = KernelBench.holding(store(rows(0..<100)), peers: [2, 3, 4])
        let id = bench.command(.verify(deadline: .seconds(2)))
        #expect(bench.opened.map(\.to) == [address(2), address(3), address(4)])
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        bench.handle(.streamOpened(bench.opened[1].id))
        bench.hear([.floor(someFloor)], on: bench.opened[1].id, from: 3)
        bench.passAnswering(.milliseconds(1_900))
        #expect(bench.answers(to: id).isEmpty)
        bench.passAnswering(.milliseconds(200))
        guard case .verified(let report)? = bench.answers(to: id).first else {
            Issue.record("no answer")
            return
        }
        #expect(report.peers.map(\.name) == ["n2", "n3", "n4"])
        let reasons = report.peers.map { if case .unknown(let reason) = $0.result { reason } else { "" } }
        #expect(
            reasons == [
                "it could not be connected to", "it has another collection floor", "it did not answer in time",
            ])
        #expect(bench.closed.count == 2)
    }

    @Test("at most eight members are asked at once")
    func concurrency() {
        var bench = KernelBench.holding(store(rows(0..<100)), peers: Array(2...20))
        let id = bench.command(.verify(deadline: .seconds(2)))
        #expect(bench.opened.count == 8)
        for index in 0..<19 where index < bench.opened.count {
            bench.handle(.streamClosed(bench.opened[index].id, .refused))
            #expect(bench.opened.count <= index + 9)
        }
        #expect(bench.opened.count == 19)
        guard case .verified(let report)? = bench.answers(to: id).first else {
            Issue.record("no answer")
            return
        }
        #expect(report.peers.count == 19)
    }
}
