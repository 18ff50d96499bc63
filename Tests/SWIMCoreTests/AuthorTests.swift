// SPDX-License-Identifier: Apache-2.0
// Owns the tests of who may say what of a node: pinned keys, forged statements, contradictions.

import ClusterTypes
import SWIMCore
import Testing

/// Signatures that only the holder of a number can make: node 7's word under key 7.
private func key(_ number: Int) -> AuthorKey {
    guard let key = AuthorKey(bytes: [UInt8](repeating: UInt8(number), count: AuthorKey.byteCount)) else {
        preconditionFailure("a key of another length")
    }
    return key
}

private func signature(of statement: SelfStatement, _ key: AuthorKey) -> [UInt8] {
    var hasher = StableHasher()
    hasher.absorb(raw: key.bytes)
    hasher.absorb(statement.subject)
    hasher.absorb(statement.incarnation)
    if case .present(let info) = statement.word { hasher.absorb(info.contentHash) }
    let hash = hasher.finalize()
    return (0..<AuthorProof.signatureByteCount).map { UInt8(truncatingIfNeeded: hash.high >> UInt64($0 % 8 * 8)) }
}

private func authorship(_ number: Int) -> Authorship {
    Authorship(
        sign: { AuthorProof(key: key(number), signature: signature(of: $0, key(number))) },
        isGenuine: { $1.signature == signature(of: $0, $1.key) })
}

/// Node `number`'s word, signed under `signer`'s key; `as` is what the signature is of, when it is of something else.
private func said(
    _ number: Int, _ incarnation: UInt64 = 1, by signer: Int? = nil, name: String? = nil, of signed: UInt64? = nil
) -> MemberUpdate {
    let info = info(number, name: name)
    let statement = SelfStatement(
        subject: id(number), incarnation: signed ?? incarnation, word: .present(info))
    let proof = authorship(signer ?? number).sign(statement)
    return MemberUpdate(subject: id(number), incarnation: incarnation, claim: .alive(info.proven(by: proof)))
}

private func saidLeft(_ number: Int, _ incarnation: UInt64 = 1, by signer: Int? = nil) -> MemberUpdate {
    let statement = SelfStatement(subject: id(number), incarnation: incarnation, word: .left)
    return MemberUpdate(
        subject: id(number), incarnation: incarnation, claim: .left(authorship(signer ?? number).sign(statement)))
}

private func row(_ update: MemberUpdate, _ state: MemberState) -> MemberTableEntry {
    guard case .alive(let info) = update.claim else { preconditionFailure("not an alive update") }
    return MemberTableEntry(
        id: update.subject, incarnation: update.incarnation, state: state, ageSeconds: 0, info: info)
}

private func bench(knowing updates: [MemberUpdate] = []) -> Bench {
    var bench = Bench(authorship: authorship(1))
    for update in updates { bench.hear(update) }
    bench.clear()
    return bench
}

private func forgeries(_ bench: Bench) -> [Forgery] {
    bench.events.compactMap { if case .forged(let forgery) = $0.kind { forgery } else { nil } }
}

@Suite("Authors of statements")
struct AuthorTests {
    @Test("A node signs what it says of itself under each incarnation, and its leave")
    func signs() throws {
        var bench = bench(knowing: [said(2)])
        bench.hear(suspect(1, by: 2))
        let queued = try #require(bench.queued(1))
        guard case .alive(let info) = queued.claim else {
            Issue.record("not an alive update")
            return
        }
        let statement = SelfStatement(subject: id(1), incarnation: 2, word: .present(info))
        #expect(info.proof == authorship(1).sign(statement))
    }

    @Test("The first key heard is pinned; another key, no key and a wrong signature are refused and told once a minute")
    func pinned() {
        var bench = bench(knowing: [said(2)])
        #expect(bench.machine.pinnedKey(of: id(2)) == key(2))
        for forged in [said(2, 2, by: 3), alive(2, 2), said(2, 2, of: 1)] { bench.hear(forged) }
        #expect(bench.incarnation(2) == 1)
        #expect(bench.machine.statistics.claimsForged == 3)
        #expect(forgeries(bench).map(\.key) == [key(3)])
        #expect(forgeries(bench).first?.pinned == key(2))
        bench.pass(.seconds(61))
        bench.hear(said(2, 9, by: 3))
        #expect(forgeries(bench).count == 2)
        bench.hear(said(2, 2))
        #expect(bench.incarnation(2) == 2)
    }

    @Test("Nobody can say of another that it left; its own word counts")
    func leave() {
        var bench = bench(knowing: [said(2), said(3)])
        bench.hear(left(2))
        bench.hear(saidLeft(2, by: 3))
        #expect(bench.state(2) == .alive)
        bench.hear(saidLeft(2))
        #expect(bench.state(2) == .left)
        #expect(bench.machine.pinnedKey(of: id(2)) == key(2))
    }

    @Test("A node that never signed is believed, until it signs for the first time")
    func unsigned() {
        var bench = bench(knowing: [alive(2)])
        bench.hear(alive(2, 2))
        #expect(bench.incarnation(2) == 2)
        bench.hear(said(2, 3))
        bench.hear(alive(2, 4))
        #expect(bench.incarnation(2) == 3)
    }

    @Test("The pin outlives the member's row, and that the member is forgotten: an id is nobody else's ever")
    func pinsLast() {
        var bench = bench(knowing: [said(2), said(3)])
        bench.hear(saidLeft(2))
        bench.hear(saidLeft(3))
        let isForgotten = bench.forget(3)
        #expect(isForgotten)
        bench.pass(.seconds(73 * 3600))
        #expect(bench.state(2) == nil && bench.state(3) == .forgotten)
        for lost in [2, 3] {
            let before = bench.state(lost)
            bench.hear(said(lost, 5, by: 4))
            #expect(bench.state(lost) == before && bench.machine.pinnedKey(of: id(lost)) == key(lost))
            bench.hear(said(lost, 6))
            #expect(bench.state(lost) == .alive)
        }
    }

    @Test("Who says that a member is forgotten, or evicted, cannot take its id", arguments: [false, true])
    func takeover(isEvicted: Bool) {
        var bench = bench(knowing: [said(2), said(3)])
        bench.hear(
            MemberUpdate(subject: id(2), incarnation: 1, claim: isEvicted ? .evicted(by: id(3)) : .forgotten(by: id(3)))
        )
        bench.hear(said(2, 6, by: 3, name: "thief"))
        #expect(bench.state(2) == .forgotten && forgeries(bench).map(\.key) == [key(3)])
        bench.hear(said(2, 7))
        #expect(bench.state(2) == .alive && bench.machine.table[id(2)]?.info.name == "n2")
    }

    @Test("Keys that an earlier process knew are pinned from the start")
    func remembered() {
        var bench = Bench(authorship: authorship(1), pins: [id(2): key(2)])
        bench.hear(said(2, by: 3))
        #expect(bench.state(2) == nil)
        bench.hear(said(2))
        #expect(bench.state(2) == .alive)
    }

    @Test("Two statements under one incarnation are kept as proof, and everybody keeps the same one")
    func equivocation() {
        let (a, b) = (said(2, name: "one"), said(2, name: "two"))
        var names: Set<String?> = []
        for order in [[a, b], [b, a]] {
            var bench = bench()
            for update in order { bench.hear(update) }
            for update in order { bench.hear(update) }
            let told = bench.events.compactMap { if case .equivocated(let found) = $0.kind { found } else { nil } }
            #expect(told.count == 1)
            #expect(Set([told.first?.kept.name, told.first?.other.name]) == ["one", "two"])
            #expect(told.first?.kept.proof != nil && told.first?.other.proof != nil)
            names.insert(bench.machine.table[id(2)]?.info.name)
        }
        #expect(names.count == 1, "both orders end the same")
    }

    @Test("A contradiction that its subject did not sign is a forgery")
    func falseContradiction() {
        var bench = bench(knowing: [said(2)])
        bench.hear(said(2, by: 3, name: "other"))
        #expect(bench.machine.table[id(2)]?.info.name == "n2")
        #expect(forgeries(bench).count == 1 && bench.machine.authors.equivocations.isEmpty)
    }

    @Test("Tables that hold two statements of one incarnation differ in their fingerprints, whoever signed")
    func fingerprint() {
        let a = bench(knowing: [said(2, name: "one")])
        let b = bench(knowing: [said(2, name: "two")])
        #expect(a.machine.table.fingerprint != b.machine.table.fingerprint)
    }

    @Test("An accusation of an incarnation not heard of keeps the pin, and its rows are passed on without false proof")
    func accusedAhead() {
        var bench = bench(knowing: [said(2), said(3)])
        bench.hear(suspect(2, 5, by: 3))
        #expect(bench.incarnation(2) == 5)
        let passedOn = bench.machine.entries(now: bench.now).first { $0.id == id(2) }
        #expect(passedOn?.info.proof == nil)
        #expect(bench.machine.pinnedKey(of: id(2)) == key(2))
        // A peer that has the same row is not taken for a forger, and one with the proof supplies it.
        bench.merge([row(alive(2, 5), .suspect)], from: 3)
        #expect(bench.machine.statistics.claimsForged == 0)
        bench.merge([row(said(2, 5), .suspect)], from: 3)
        #expect(bench.machine.table[id(2)]?.info.proof?.key == key(2))
    }

    @Test("A departed member's row with a proof that does not hold pins nothing")
    func departed() {
        var bench = bench(knowing: [said(3)])
        bench.merge([row(said(2, by: 2, of: 9), .failed), row(said(4, 7), .failed)], from: 3)
        #expect(bench.state(2) == .failed && bench.machine.pinnedKey(of: id(2)) == nil)
        #expect(bench.machine.pinnedKey(of: id(4)) == key(4))
    }

    @Test("Another process of this node says something else under our incarnation: overtaken and told")
    func double() {
        var bench = bench(knowing: [said(2)])
        let moved = MemberInfo(name: "n1", address: address(77), tags: [], protocolVersion: 1)
        func update(_ signer: Int) -> MemberUpdate {
            let statement = SelfStatement(subject: id(1), incarnation: 1, word: .present(moved))
            return MemberUpdate(
                subject: id(1), incarnation: 1, claim: .alive(moved.proven(by: authorship(signer).sign(statement))))
        }
        bench.hear(update(2))
        #expect(bench.incarnation(1) == 1 && bench.doubles.isEmpty && forgeries(bench).count == 1)
        #expect(bench.otherSelves.isEmpty, "nobody is looked for on a forger's word")
        bench.hear(update(1))
        #expect(bench.incarnation(1) == 2 && bench.doubles == [address(77)])
        #expect(bench.otherSelves == [address(77)])
    }
}
