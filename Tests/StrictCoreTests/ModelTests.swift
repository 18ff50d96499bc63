// SPDX-License-Identifier: Apache-2.0
// Owns the randomized comparison of the machine with the naive model.

import ClusterTypes
import RaftCore
import StrictCore
import Testing

@Suite("The strict state against a naive model")
struct ModelTests {
    @Test("answers, changes and state are the naive model's, through repeats and restored snapshots", arguments: 1...20)
    func agrees(seed: UInt64) throws {
        var source = try CommandSource(seed: seed)
        var machine = StrictMachine()
        var model = NaiveModel()
        var kinds: Set<String> = []
        for round in 0..<600 {
            let index = machine.appliedIndex + 1 + (source.rng.chance(0.1) ? 2 : 0)
            let command = source.command(machine.versionBase + index)
            let before = model
            let expected = model.apply(command, at: index)
            let outcome = try machine.apply(command.encoded, at: index)
            source.learn(outcome.answer)
            kinds.insert(String(String(describing: outcome.answer).prefix { $0 != "(" }))
            try #require(outcome.answer == expected, "seed \(seed), \(index): \(command)")
            #expect(try StrictAnswer(encoded: outcome.answer.encoded) == outcome.answer)
            expectChanges(outcome, before, model, source)
            expectState(machine, model, source)
            if round % 20 == 0 { machine.checkInvariants() }
            if round % 100 == 99 {
                let restored = try StrictMachine(snapshot: machine.snapshot)
                #expect(restored == machine && restored.digest == machine.digest)
                machine = restored
            }
        }
        machine.checkInvariants()
        // A test in which nothing happens proves nothing.
        #expect(kinds.count == 14, "\(kinds.sorted())")
    }

    private func expectChanges(
        _ outcome: StrictOutcome, _ before: NaiveModel, _ after: NaiveModel, _ source: CommandSource
    ) {
        var last: [StrictKey: StrictEntry?] = [:]
        for change in outcome.changes {
            #expect(change.index == outcome.index && change.old == before.keys[change.key])
            #expect(last.updateValue(change.new, forKey: change.key) == nil, "\(change.key) changed twice")
        }
        if case .reissued(let count) = outcome.answer {
            #expect(outcome.isRepeat || outcome.changes.count == Int(count))
            #expect(outcome.changes.allSatisfy { $0.old == $0.new && $0.new == after.keys[$0.key] })
            return
        }
        for key in source.keys {
            let expected = after.keys[key]
            #expect(before.keys[key] == expected ? last[key] == nil : last[key] == .some(expected))
        }
        for lock in source.locks {
            let holders = [before, after].map { $0.locks[lock]?.first }
            let change = outcome.lockChanges.first { $0.lock == lock }
            #expect((change != nil) == (holders[0] != holders[1]))
            if let change { #expect(change.new?.token == holders[1]?.number && change.new?.lease == holders[1]?.lease) }
        }
        var leases = before.leases
        for change in outcome.leaseChanges {
            switch change {
            case .renewed(let id, let index, let milliseconds):
                leases[id] = NaiveModel.Lease(
                    milliseconds: milliseconds, renewed: index, endsWithKeys: after.leases[id]?.endsWithKeys ?? false)
            case .ended(let id): leases[id] = nil
            }
        }
        #expect(leases == after.leases)
    }

    private func expectState(_ machine: StrictMachine, _ model: NaiveModel, _ source: CommandSource) {
        for key in source.keys { #expect(machine.entry(key) == model.keys[key]) }
        let expected = model.keys.sorted { $0.key < $1.key }
        let listed = machine.entries(withPrefix: "", max: 100)
        #expect(listed.map(\.key) == expected.map(\.key) && listed.map(\.entry) == expected.map(\.value))
        for lock in source.locks {
            let lock = (machine.lock(lock), model.locks[lock])
            #expect(lock.0?.holder.token == lock.1?.first?.number)
            #expect(lock.0.map { $0.waiting.map(\.since) } == lock.1.map { $0.dropFirst().map(\.number) })
        }
        #expect(machine.leaseCount == model.leases.count && machine.sessionCount == model.sessions.count)
        #expect(machine.sessionTime == model.time || model.sessions.isEmpty && machine.sessionTime <= model.time)
    }

    @Test("replicas that apply the same entries are equal, however often they were restored", arguments: 21...24)
    func replicas(seed: UInt64) throws {
        var source = try CommandSource(seed: seed)
        var machines = [StrictMachine](repeating: StrictMachine(), count: 3)
        for index in UInt64(1)...400 {
            let bytes = source.command(machines[0].versionBase + index).encoded
            var answers: Set<StrictOutcome> = []
            for place in machines.indices {
                let outcome = try machines[place].apply(bytes, at: index)
                answers.insert(outcome)
                if place == 0 { source.learn(outcome.answer) }
                if Int(index) % (23 * place + 40) == 0 {
                    machines[place] = try StrictMachine(snapshot: machines[place].snapshot)
                }
            }
            #expect(answers.count == 1)
        }
        #expect(machines[0] == machines[1] && machines[1] == machines[2])
        #expect(Set(machines.map(\.snapshot)).count == 1)
    }
}
