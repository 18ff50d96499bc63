// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the plan's formulas: against closed forms, and against what simulations measure.

import ClusterTypes
import SWIMCore
import Simulator
import Testing

@Suite("Plan")
struct PlanTests {
    private static func isNear(_ a: Double, _ b: Double, _ tolerance: Double = 1e-9) -> Bool {
        abs(a - b) <= tolerance * max(1, abs(b))
    }

    @Test("The exponential function and its inverse agree", arguments: [-700, -20.5, -1, -0.3, 0, 0.49, 1, 3, 50])
    func exponential(x: Double) {
        if x > -700 { #expect(Self.isNear(Logarithm.natural(Exponential.of(x)), x, 1e-11)) }
        #expect(Self.isNear(Exponential.of(x) * Exponential.of(-x), x > -700 ? 1 : 0, 1e-11))
        #expect(Self.isNear(Exponential.of(1), 2.718_281_828_459_045, 1e-12))
    }

    @Test("The first probe's mean is that of random moments in two periods, at any size")
    func firstProbe() {
        var rng = SeededGenerator(seed: 1)
        var sum = 0.0
        let deaths = 200_000
        for _ in 0..<deaths {
            let (now, present, next) = (rng.fraction(), rng.fraction(), rng.fraction())
            sum += present > now ? present - now : 1 - now + next
        }
        for nodes in [2, 30, 10_000] {
            #expect(Self.isNear(PlanModel(nodes: nodes).firstProbe, sum / Double(deaths), 3e-3))
        }
    }

    @Test("Without sentinels a killed process waits for its first probe")
    func withoutSentinels() {
        let without = PlanModel(nodes: 30, sentinels: 0)
        #expect(PlanModel(nodes: 30).killFirst < 0.51 && without.killFirst > without.firstProbe + 0.5)
    }

    @Test("Without loss no probe fails, with all datagrams lost every one does")
    func extremes() {
        let good = PlanModel(nodes: 100)
        #expect(good.probeFails == 0 && good.suspicionsPerNodeYear == 0 && good.falseFailuresPerNodeYear == 0)
        let bad = PlanModel(nodes: 100, loss: 0.999_999)
        #expect(Self.isNear(bad.probeFails, 1, 1e-5))
    }

    @Test("At ten percent loss a direct probe fails in 0.19 of all cases, three relays in 0.3439 to the third")
    func loss() {
        let model = PlanModel(nodes: 100, loss: 0.1)
        #expect(Self.isNear(model.directFails, 0.19))
        #expect(Self.isNear(model.relaysFail, 0.3439 * 0.3439 * 0.3439))
        // SYN and SYN-ACK arrive (0.81); of ping and ack both may be lost once (0.99 each).
        #expect(Self.isNear(model.streamFails, 1 - 0.81 * 0.99 * 0.99))
        #expect(Self.isNear(model.probeFails, model.directFails * model.relaysFail * model.streamFails))
        #expect(model.falseFailuresPerNodeYear < model.suspicionsPerNodeYear * 1e-14)
        #expect(Self.isNear(PlanModel(nodes: 3, loss: 0.1).relaysFail, 0.3439), "one relay is all that there is")
    }

    @Test("Few peers hear at once; a wave and one round reach all of many; a small fanout needs three rounds")
    func spread() {
        let small = PlanModel(nodes: 5, roundTrip: 0.002).updateSpread
        #expect(Self.isNear(small.median, 0.001) && Self.isNear(small.last, 0.001))
        // s = exp(-5 (1 - s)) leaves 0.7 %, 7 nodes, of whom a further round leaves less than a twentieth of one.
        let large = PlanModel(nodes: 999, roundTrip: 0.002).updateSpread
        #expect(large.median < 0.012 && large.last > 0.025 && large.last < 0.045)
        // The same of 7 peers and 9 nodes.
        let largest = PlanModel(nodes: 10_000, roundTrip: 0.002).updateSpread
        #expect(largest.median < 0.012 && largest.last > 0.025 && largest.last < 0.045)
        // s = exp(-3 (1 - s)) leaves 5.95 %; e^-2.82 of it each further round.
        var swim = SWIMConfiguration()
        swim.gossipFanout = 1
        let slow = PlanModel(nodes: 999, roundTrip: 0.002, swim: swim).updateSpread
        #expect(slow.median < 0.012 && slow.last > 0.150 && slow.last < 0.170)
        let single = PlanModel(nodes: 1).updateSpread
        #expect(single.last == 0)
    }

    @Test("Detection grows with the logarithm of the nodes and no faster")
    func growth() {
        let small = PlanModel(nodes: 100)
        let large = PlanModel(nodes: 10_000)
        #expect(large.killAll / small.killAll < 2 && large.downAll / small.downAll < 2)
        #expect(Self.isNear(large.suspicion / small.suspicion, 2))
        #expect(large.bytesPerSecond == small.bytesPerSecond)
    }

    /// What a simulation with a fixed seed measured lies within this factor of the formula: deaths are few, and the wait
    /// for the first probe is spread widely.
    static let factor = 1.8
    /// Bytes and packets are means over many.
    static let trafficFactor = 1.1

    @Test("Formula and simulation agree within a factor of 1.8, for traffic 1.1", arguments: [30, 100])
    func agreement(nodes: Int) throws {
        let plan = try Plan(nodes: nodes, loss: 0, roundTrip: .microseconds(500), profile: .lan, isSimulated: true)
        #expect(plan.failures.isEmpty, "\(plan.failures)")
        for row in plan.rows where row.field.hasSuffix("_seconds") || row.field.hasSuffix("per_second") {
            let formula = try #require(row.formulaAtSimulatedSize)
            let simulated = try #require(row.simulated, "\(row.field) was not measured")
            let factor = row.field.hasSuffix("per_second") ? Self.trafficFactor : Self.factor
            #expect(
                simulated <= formula * factor && formula <= simulated * factor,
                "\(row.field): formula \(formula), simulated \(simulated)")
        }
    }

    @Test("A plan without a simulation has formulas alone, and the same JSON each time")
    func text() throws {
        let plan = try Plan(nodes: 5_000, loss: 0.01, roundTrip: .milliseconds(40), profile: .wan, isSimulated: false)
        #expect(plan.rows.allSatisfy { $0.simulated == nil } && plan.simulatedNodes == nil)
        #expect(plan.text.contains("5000 nodes, profile wan, 1.0 % loss, round trip 40.00 ms"))
        let again = try Plan(nodes: 5_000, loss: 0.01, roundTrip: .milliseconds(40), profile: .wan, isSimulated: false)
        #expect(plan.json.text == again.json.text && plan.json.text.contains("\"kill_first_seconds\""))
    }
}
