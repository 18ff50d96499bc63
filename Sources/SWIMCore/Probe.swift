// SPDX-License-Identifier: Apache-2.0
// Owns the probes and relayed pings in flight, as values without behaviour of their own.

import ClusterTypes

/// One probe in flight, from the direct ping to the verdict.
struct Probe: Hashable, Sendable {
    enum Stage: Hashable, Sendable {
        /// The direct ping waits for its ack.
        case direct
        /// Relays and a stream were asked too.
        case escalated
    }

    /// What asked for it.
    enum Purpose: Hashable, Sendable {
        /// The member's turn, or a suspect that is looked at again.
        case turn
        /// Ping and stream connect leave together; relays follow when the ping's time is over.
        case hint(ProbeHint)
        /// Somebody else suspects the member: as for a hint. It needs its relays, or all those behind a one-way cut would
        /// confirm each other.
        case secondLook
    }

    let sequence: UInt32
    let target: NodeID
    let address: Address
    let purpose: Purpose
    let sentAt: Clock
    /// When the direct wait is over, and when the verdict falls.
    var timeoutAt: Instant
    var deadline: Instant
    var stage = Stage.direct
    var relays: [NodeID] = []
    var nackedBy: [NodeID] = []
    var stream: StreamProbeOutcome?
    var streamIsOpened = false
    /// The target's host took the connection, whatever came after.
    var streamWasAccepted = false
    /// The ping was refused: no ack will come.
    var pingWasRefused = false
    /// This host could not send the ping: the silence says nothing about the target.
    var sendFailed = false
    /// The deadline was put off once because this process had been stalled.
    var wasExtended = false
    /// The deadline was put off once because the target accepted the stream: it may only stand still.
    var awaitsStalledTarget = false

    /// Probes sent without an answer: the direct ping, one per relay, the stream.
    var attempts: Int { (sendFailed ? 0 : 1) + relays.count + (streamWasTried ? 1 : 0) }

    var streamWasTried: Bool { streamIsOpened && stream != .notTried }

    var pathsFailed: [ProbePath] {
        // What was never sent is no evidence.
        var paths: [ProbePath] = sendFailed ? [] : [.udp]
        if !relays.isEmpty { paths.append(.relay) }
        if streamWasTried { paths.append(.stream) }
        return paths
    }
}

/// A ping sent on behalf of another node.
struct RelayedPing: Hashable, Sendable {
    let sequence: UInt32
    let target: NodeID
    let requester: NodeID
    let requesterAddress: Address
    let requesterSequence: UInt32
    /// The entry stays until its timers have fired, so that the bound on entries bounds timers too.
    var isAnswered = false
}

/// A ping sent because an operator asked for it.
struct OperatorPing: Hashable, Sendable {
    let sequence: UInt32
    let target: NodeID
    let sentAt: Instant
}
