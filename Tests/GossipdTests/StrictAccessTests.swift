// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what the admin API makes of the strict state's answers, over the real state machine.

import AdminModel
import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Synchronization
import Testing

@testable import gossipd

/// A group of one that applies at once.
private final class Group: Sendable {
    private struct State {
        var machine = StrictMachine()
        var index: LogIndex = 10
        var failure: StrictFailure?
        /// Told one after the other; the last one stays.
        var statuses = [StrictStatus()]
        var calls: [StrictCall] = []
    }
    private let state = Mutex(State())

    func fail(with failure: StrictFailure?) { state.withLock { $0.failure = failure } }
    func tell(_ statuses: [StrictStatus]) { state.withLock { $0.statuses = statuses } }
    var calls: [StrictCall] { state.withLock { $0.calls } }
    var leases: Int { state.withLock { $0.machine.leaseCount } }

    func call(_ call: StrictCall) -> StrictReply {
        state.withLock { state in
            state.calls.append(call)
            if let failure = state.failure { return .failed(failure) }
            switch call {
            case .change(let operation):
                state.index += 1
                return .answer(state.machine.apply(StrictCommand(time: 0, operation), at: state.index).answer)
            case .read(.entry(let key)): return .found(.entry(state.machine.entry(key)), at: state.index)
            case .read(.lock(let name)): return .found(.lock(state.machine.lock(name)), at: state.index)
            case .read, .operate: return .failed(.notConfigured)
            case .status:
                return .status(state.statuses.count > 1 ? state.statuses.removeFirst() : state.statuses[0])
            }
        }
    }
}

@Suite("Strict keys behind the admin API")
struct StrictAccessTests {
    private let group = Group()
    private let key: ConfigurationKey
    private var access: StrictAccess { access(group) }

    private func access(_ group: Group) -> StrictAccess {
        StrictAccess(prefixes: ["strict/"], call: { call, _ in group.call(call) }, begin: { _, _, _ in }, age: { 5 })
    }

    init() throws { key = try ConfigurationKey("strict/a") }

    private func put(_ value: String, _ change: (inout KeyWriteOptions) -> Void = { _ in }) async throws -> WriteResult
    {
        var options = KeyWriteOptions()
        change(&options)
        return try await access.write([.put(key, Array(value.utf8))], options)
    }

    @Test("The version of a write is its log index, whether it has a condition or not")
    func versions() async throws {
        let first = try await put("1")
        #expect(first.version == "11" && first.keyClass == .strict)
        #expect(try await put("2") { $0.condition = .version("11") }.version == "12")
        #expect(try await access.entry(key, .seconds(1))?.modified == 12)
        #expect(try await access.write([.delete(key)], KeyWriteOptions()).version == "0")
        #expect(try await put("3") { $0.condition = .version("0") }.version == "14")
    }

    @Test("A condition that does not hold changes nothing and tells the present version")
    func condition() async throws {
        _ = try await put("1")
        for condition in [KeyWriteOptions.Condition.absent, .version("7")] {
            await #expect {
                try await put("2") { $0.condition = condition }
            } throws: {
                let failure = $0 as? AdminFailure
                return failure?.code == .conditionFailed && failure?.message.contains("it is at version 11") == true
            }
        }
        #expect(try await access.entry(key, .seconds(1))?.value == Array("1".utf8))
    }

    @Test("A time to live is a lease, which ends when the write does not happen")
    func timeToLive() async throws {
        let result = try await put("1") { $0.ttlMilliseconds = 60_000 }
        #expect(result.lease == "11" && result.version == "12")
        #expect(try await access.entry(key, .seconds(1))?.lease == 11)
        _ = try? await put("2") {
            $0.ttlMilliseconds = 60_000
            $0.condition = .absent
        }
        #expect(group.leases == 1)
    }

    @Test("What the log does not keep is refused before anything is asked of the group")
    func refusals() async throws {
        let attempts: [(inout KeyWriteOptions) -> Void] = [
            { $0.message = "why" }, { $0.requestID = "mine" }, { $0.isRepeat = true },
        ]
        for (attempt, code) in zip(attempts, [AdminFailure.Code.strictKey, .strictKey, .unavailable]) {
            await #expect {
                try await put("1", attempt)
            } throws: {
                ($0 as? AdminFailure)?.code == code
            }
        }
        for writes in [
            [KeyWrite.add(key, element: [1])], [.increment(key, by: 1)], [.put(key, []), .put(key, [])],
        ] {
            await #expect {
                try await access.write(writes, KeyWriteOptions())
            } throws: {
                ($0 as? AdminFailure)?.code == .strictKey
            }
        }
        #expect(group.calls.isEmpty)
        // gossipctl's own ids mean only that it may ask again; here it may not.
        #expect(try await put("1") { $0.requestID = "gossipctl-1" }.version == "11")
    }

    @Test(
        "Without an answer the failure says what became of the change, and who is missing",
        arguments: [true, false])
    func unavailable(isOutcomeUnknown: Bool) async throws {
        let missing = [StrictMissing(id: NodeID(high: 1, low: 2), name: "db-1"), StrictMissing(id: nil, name: "db-2")]
        group.fail(with: .unavailable(missing: missing, isOutcomeUnknown: isOutcomeUnknown))
        let failure = await #expect(throws: AdminFailure.self) { try await put("1") }
        #expect(failure?.code == .unavailable && failure?.outcome == (isOutcomeUnknown ? .unknown : .notDone))
        #expect(failure?.missing?.map(\.name) == ["db-1", "db-2"])
        #expect(failure?.message.contains("voters that this node does not reach: db-1, db-2") == true)
        #expect(failure?.message.contains(isOutcomeUnknown ? "may have been made" : "nothing was changed") == true)
        let read = await #expect(throws: AdminFailure.self) { try await access.entry(key, .seconds(1)) }
        #expect(read?.outcome == nil && read?.message.contains("--consistency local") == true)
    }

    @Test("A transaction tells one version for all that it wrote, and the steps of the branch that was taken")
    func transaction() async throws {
        var request = StrictTransactionRequest(
            then: [.put("strict/a", "long value"), .put("strict/b", "x"), .delete("strict/c"), .get("strict/b")],
            otherwise: [.get("strict/a")])
        var compare = StrictTransactionRequest.Compare(key: "strict/a")
        compare.exists = false
        request.compare = [compare]
        let first = try await access.transact(request, .seconds(1))
        #expect(first.succeeded && first.version == "11" && first.results.count == 4)
        #expect(first.results[0].version == "11" && first.results[2].found == false && first.results[3].value == "x")
        let second = try await access.transact(request, .seconds(1))
        #expect(!second.succeeded && second.version == nil && second.results.map(\.value) == ["long value"])
    }

    @Test("A transaction with a key that is not strict asks nothing of the group")
    func transactionOutside() async throws {
        let failure = await #expect(throws: AdminFailure.self) {
            try await access.transact(StrictTransactionRequest(then: [.put("other", "1")]), .seconds(1))
        }
        #expect(failure?.code == .notStrict && failure?.message.contains("\"strict/\"") == true && group.calls.isEmpty)
    }

    @Test("A lock is held by one lease, waited for by the next, and fenced by the token")
    func locks() async throws {
        let (one, two) = (try await lease(), try await lease())
        let name = try ConfigurationKey("deploy")
        let held = try await access.acquireLock(name, one, mayWait: false, .seconds(1))
        #expect(held.state == .held)
        let busy = try await access.acquireLock(name, two, mayWait: false, .seconds(1))
        #expect(busy.state == .busy && busy.token == held.token)
        #expect(try await access.acquireLock(name, two, mayWait: true, .seconds(1)).state == .waiting)
        #expect(try await access.lock(name, two, .seconds(1)).ahead == 1)
        var request = StrictTransactionRequest(then: [.put("strict/a", "1")])
        var compare = StrictTransactionRequest.Compare(key: "")
        (compare.key, compare.lock, compare.token) = (nil, "deploy", held.token)
        request.compare = [compare]
        #expect(try await access.transact(request, .seconds(1)).succeeded)
        #expect(try await access.revokeLease(one, .seconds(1)).released)
        let next = try await access.lock(name, two, .seconds(1))
        #expect(next.state == .held && next.token ?? 0 > held.token ?? .max)
        #expect(try await access.transact(request, .seconds(1)).succeeded == false)
        // Ended already: as wanted. Renewing it is another matter.
        #expect(try await access.revokeLease(one, .seconds(1)).released == false)
        let failure = await #expect(throws: AdminFailure.self) { try await access.renewLease(one, .seconds(1)) }
        #expect(failure?.code == .notFound)
    }

    private func lease() async throws -> LeaseID {
        try LeaseText.number(try await access.grantLease(.seconds(10), .seconds(1)).lease)
    }

    @Test("Without prefixes nothing is strict, and every call says what to configure")
    func off() async throws {
        let off = StrictAccess(
            prefixes: [], call: { [group] call, _ in group.call(call) }, begin: { _, _, _ in }, age: { nil })
        #expect(!off.isOn && !off.covers("strict/a"))
        let failure = await #expect(throws: AdminFailure.self) { try await off.status() }
        #expect(failure?.code == .conditionFailed && failure?.message.contains("strict.prefixes") == true)
        #expect(group.calls.isEmpty)
    }

    @Test(
        "Every refusal of an order and of the state has a sentence, and none of them leaves the outcome open but a lost session"
    )
    func sentences() {
        let reasons: [RaftFailure] = [
            .notLeader(nil), .tooMuchUncommitted(bytes: 1), .transferring(to: .unknown), .commandTooLarge(bytes: 1),
            .termNotEstablished, .changeInProgress(1), .learnerBehind(match: 1, last: 2),
            .wouldLoseQuorum(reachable: 1, needed: 2), .alreadyMember, .notMember, .retiredID, .tooManyMembers,
            .lastVoter, .cannotLead, .tooManyReads,
        ]
        for reason in reasons {
            let failure = AdminFailure(.refused(reason), changes: true)
            #expect(failure.outcome == .notDone && !failure.message.isEmpty && !failure.message.hasSuffix("."))
            #expect([.busy, .conflict, .tooLarge].contains(failure.code), "\(reason)")
        }
        for refusal in StrictRefusal.allCases {
            let failure = AdminFailure(refusal)
            let isOpen = [.noSession, .obsolete, .answerNotKept].contains(refusal)
            #expect((failure.outcome == .unknown) == isOpen, "\(refusal)")
            #expect(!failure.message.hasSuffix("."), "\(refusal)")
        }
    }

    private static func status(_ role: RaftRole?, leader: Int, voters: [Int], term: Term) -> StrictStatus {
        func id(_ number: Int) -> NodeID { NodeID(high: 1, low: UInt64(number)) }
        var status = StrictStatus()
        (status.role, status.leader, status.term) = (role, id(leader), term)
        status.voters = voters.map(id)
        status.reachable = status.voters
        return status
    }

    @Test("A leader that goes hands over; who does not lead, or votes alone, does not")
    func handOver() async {
        for (status, asks) in [
            (Self.status(.leader, leader: 1, voters: [1, 2, 3], term: 4), true),
            (Self.status(.follower, leader: 2, voters: [1, 2, 3], term: 4), false),
            (Self.status(nil, leader: 2, voters: [2, 3, 4], term: 4), false),
            (Self.status(.leader, leader: 1, voters: [1], term: 4), false),
        ] {
            let group = Group()
            group.tell([status])
            // That nobody takes over holds nothing up.
            await access(group).handOverLead()
            #expect(group.calls == (asks ? [.status, .operate(.transfer(to: nil))] : [.status]))
        }
        let off = Group()
        await StrictAccess(prefixes: [], call: { call, _ in off.call(call) }, begin: { _, _, _ in }, age: { nil })
            .handOverLead()
        #expect(off.calls.isEmpty)
    }

    @Test("After the removal of a leader the next one is told, or what is known when none comes")
    func successor() async {
        let gone = NodeID(high: 1, low: 1)
        let answer = Self.status(.follower, leader: 1, voters: [2, 3], term: 4)
        let next = Self.status(.follower, leader: 3, voters: [2, 3], term: 5)
        var electing = answer
        electing.leader = nil
        group.tell([answer, electing, next])
        let told = await access.settled(answer, without: gone, within: .seconds(60))
        #expect(told == next && group.calls.count == 3)
        #expect(await access.settled(next, without: gone, within: .seconds(60)) == next && group.calls.count == 3)
        group.tell([electing])
        #expect(await access.settled(answer, without: gone, within: .milliseconds(30)) == electing)
    }
}
