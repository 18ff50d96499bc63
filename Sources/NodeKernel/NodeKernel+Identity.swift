// SPDX-License-Identifier: Apache-2.0
// Owns what happens when two living processes have one id, as after a disk was cloned: the later one refuses to serve.

import ClusterTypes
import SWIMCore

/// What this process knows of others with its id.
struct DoubleState: Sendable {
    /// When this process began, for the comparison with a double. Milliseconds since 1970.
    let startedAt: UInt64
    let bornAt: Instant
    /// Addresses asked, by the sequence number of the question.
    var asked: [UInt32: Address] = [:]
    var askedAt: Instant?
    var reportedAt: Instant?

    /// So long after its start a process yields to an older one; later it is itself the older one.
    static let yieldsFor = Interval.seconds(60)
    static let askInterval = Interval.milliseconds(500)
    static let askedMax = 16

    init(startedAt clock: Clock) {
        startedAt = clock.wall.milliseconds
        bornAt = clock.now
    }
}

extension NodeKernel {
    /// Another process with this id, most likely a cloned disk: at most one report a minute.
    mutating func reportIdentity(at address: Address, _ turn: inout Turn) {
        guard doubles.reportedAt.map({ turn.now - $0 >= .seconds(60) }) ?? true else { return }
        doubles.reportedAt = turn.now
        turn.actions.append(.event(.identityInUse(at: address)))
    }

    /// Somebody says that this node is at another address. Most often that is where it was before it moved; if a process
    /// with our id answers there, it is a double.
    mutating func askDouble(at address: Address, _ turn: inout Turn) {
        guard outcome == nil, turn.now - doubles.bornAt < DoubleState.yieldsFor,
            doubles.askedAt.map({ turn.now - $0 >= DoubleState.askInterval }) ?? true
        else { return }
        if doubles.asked.count >= DoubleState.askedMax { doubles.asked.removeAll() }
        doubles.askedAt = turn.now
        let sequence = UInt32(truncatingIfNeeded: turn.rng.next())
        doubles.asked[sequence] = address
        send([.ping(Ping(sequence: sequence, target: selfID))], to: address, &turn)
    }

    /// A packet under our own id: our own question that came back to us, or a double's question or answer. An answer among
    /// doubles tells when its process began instead of the time.
    mutating func hearOwnID(_ packet: Packet, from address: Address, _ turn: inout Turn) {
        for message in packet.messages {
            switch message {
            case .ping(let ping) where doubles.asked[ping.sequence] != nil:
                // Our former address leads to us: nobody else is there.
                doubles.asked[ping.sequence] = nil
                return
            case .ping(let ping) where ping.target == selfID && outcome == nil:
                send([.ack(Ack(sequence: ping.sequence, wall: doubles.startedAt))], to: address, &turn)
            case .ack(let ack):
                if let asked = doubles.asked.removeValue(forKey: ack.sequence) {
                    meetDouble(at: asked, startedAt: ack.wall, &turn)
                    return
                }
            case _:
                break
            }
        }
        // What we sent to our own address, where a member that is gone used to be, says nothing.
        if address != membership.me.info.address { reportIdentity(at: address, &turn) }
    }

    /// The later process yields; of two that began in one millisecond the one with the greater address.
    private mutating func meetDouble(at address: Address, startedAt: UInt64, _ turn: inout Turn) {
        reportIdentity(at: address, &turn)
        let own = doubles.startedAt
        let isLater = startedAt != own ? startedAt < own : address < membership.me.info.address
        guard isLater, outcome == nil else { return }
        closeSentinels(&turn)
        outcome = LeaveOutcome(acknowledged: 0, asked: 0)
        for id in streams.keys.sorted() { turn.actions.append(.closeStream(id)) }
        streams.removeAll()
        turn.actions.append(.refused(doubleAt: address))
    }
}
