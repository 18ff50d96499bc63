// SPDX-License-Identifier: Apache-2.0
// Owns the check of user events: each once at each node, in its sender's order, and none lost to those who were there.

import ClusterTypes
import NodeKernel

/// Watches which events each node hands on.
package struct UserEventCheck: Sendable {
    private struct Sent: Sendable {
        var event: UserEvent
        var at: Instant
        var origin: Int
        var process: Int32
    }

    private struct Place: Hashable, Sendable {
        var node: Int
        var origin: NodeID
    }

    /// A node that is to have an event gets it within this, whatever happens for less than `UserEventExchange.retention`.
    package static let grace = UserEventExchange.retention + .seconds(10)

    /// A node that has begun so shortly before an event was sent need not have it: the age of what a stalled process passes
    /// on is known no better.
    package static let startMargin = Interval.seconds(5)

    private var sent: [UserEventID: Sent] = [:]
    private var order: [UserEventID] = []
    private var seen: [Set<UserEventID>]
    /// What each node handed on last of each origin.
    private var last: [Place: UserEventID] = [:]
    package private(set) var delivered = 0
    /// Of the deliveries that had to be, how many there were.
    package private(set) var due = 0
    package private(set) var violations = Violations()

    package init(nodes: Int) { seen = Array(repeating: [], count: nodes) }

    package var sentCount: Int { order.count }

    /// The process at `node` handed on `event`. Its own it hands on as it sends them.
    package mutating func told(_ event: UserEvent, node: Int, id: NodeID, process: Int32, at now: Instant) {
        if event.id.origin == id {
            if sent[event.id] != nil { violations.add("n\(node + 1) used the number of event \(event.id) again") }
            sent[event.id] = Sent(event: event, at: now, origin: node, process: process)
            order.append(event.id)
        } else if sent[event.id]?.event != event {
            violations.add("n\(node + 1) has an event \(event.id) that nobody sent so")
        }
        delivered += 1
        if !seen[node].insert(event.id).inserted {
            violations.add("n\(node + 1) has event \(Self.name(event)) twice")
        }
        let place = Place(node: node, origin: event.id.origin)
        if let former = last[place], former >= event.id {
            violations.add("n\(node + 1) has event \(Self.name(event)) after number \(former.sequence) of its sender")
        }
        last[place] = event.id
    }

    /// What the running nodes lack in the end. Each is named by its process and its start, nil when it does not run.
    package mutating func finish(at end: Instant, processes: [(process: Int32, startedAt: Instant)?]) {
        for id in order {
            guard let sent = sent[id], end - sent.at >= Self.grace, let origin = processes[sent.origin],
                origin.process == sent.process
            else { continue }
            for (node, running) in processes.enumerated() {
                guard let running, running.startedAt + Self.startMargin < sent.at else { continue }
                due += 1
                if !seen[node].contains(id) {
                    violations.add("n\(node + 1) never had event \(Self.name(sent.event)) of n\(sent.origin + 1)")
                }
            }
        }
    }

    private static func name(_ event: UserEvent) -> String { "'\(event.name)' number \(event.id.sequence)" }
}
