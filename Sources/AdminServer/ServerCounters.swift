// SPDX-License-Identifier: Apache-2.0
// Owns what the admin server counts about itself, and the connections and streams that are open.

import AdminModel
import DaemonConfig
import NIOCore
import Synchronization

/// Totals since the start; all of them show in `/metrics`.
package struct AdminServerCounters: Hashable, Sendable {
    package var connectionsAccepted: UInt64 = 0
    /// Above the limit of connections.
    package var connectionsRefused: UInt64 = 0
    /// Cut at a deadline: too slow to send a request or to take an answer.
    package var connectionsCut: UInt64 = 0
    /// What came was not HTTP/1.
    package var protocolErrors: UInt64 = 0
    package var requestsSucceeded: UInt64 = 0
    package var requestsFailedByCode: [AdminFailure.Code: UInt64] = [:]
    package var streamsOpened: UInt64 = 0
    /// Ended because the reader was too slow.
    package var streamsCut: UInt64 = 0
    /// Open now.
    package var connectionsOpen: Int = 0
    /// Open now.
    package var streamsOpen: Int = 0

    package init() {}

    package var requestsDenied: UInt64 { requestsFailedByCode[.denied] ?? 0 }
}

/// What all connections of one server share. A leaf: no call leaves it while it is locked.
final class ServerState: Sendable {
    private struct State {
        var counters = AdminServerCounters()
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Refused and not yet closed by their peers; some are in `channels`, too.
        var draining: [ObjectIdentifier: any Channel] = [:]
        var streams: [UInt64: @Sendable (StreamEnding) -> Void] = [:]
        var nextStream: UInt64 = 0
        var transfers = 0
        /// Names of users that asked for something, by number.
        var userNames: [UInt32: String] = [:]
        var stopping = false
    }

    private let state = Mutex(State())

    var counters: AdminServerCounters {
        state.withLock { state in
            var counters = state.counters
            counters.connectionsOpen = state.channels.count
            counters.streamsOpen = state.streams.count
            return counters
        }
    }

    func count(_ change: (inout AdminServerCounters) -> Void) {
        state.withLock { change(&$0.counters) }
    }

    func countFailure(_ code: AdminFailure.Code) {
        count { $0.requestsFailedByCode[code, default: 0] += 1 }
    }

    /// Remembers an open connection; false when there are too many or the server stops.
    func open(_ channel: any Channel, max: Int) -> Bool {
        state.withLock { state in
            guard state.channels.count < max, !state.stopping else {
                state.counters.connectionsRefused += 1
                return false
            }
            state.counters.connectionsAccepted += 1
            state.channels[ObjectIdentifier(channel)] = channel
            return true
        }
    }

    /// Remembers a refused connection that may stay until its peer closes it; false when there are too many or the
    /// server stops.
    func drain(_ channel: any Channel, max: Int) -> Bool {
        state.withLock { state in
            guard !state.stopping else { return false }
            guard state.draining.count < max || state.draining[ObjectIdentifier(channel)] != nil else { return false }
            state.draining[ObjectIdentifier(channel)] = channel
            return true
        }
    }

    func closed(_ channel: any Channel) {
        state.withLock { state in
            _ = state.channels.removeValue(forKey: ObjectIdentifier(channel))
            _ = state.draining.removeValue(forKey: ObjectIdentifier(channel))
        }
    }

    /// Remembers an open stream by how to end it; nil when there are too many or the server stops.
    func openStream(max: Int, _ end: @escaping @Sendable (StreamEnding) -> Void) -> UInt64? {
        state.withLock { state in
            guard state.streams.count < max, !state.stopping else { return nil }
            state.nextStream += 1
            state.counters.streamsOpened += 1
            state.streams[state.nextStream] = end
            return state.nextStream
        }
    }

    func closeStream(_ id: UInt64) {
        state.withLock { _ = $0.streams.removeValue(forKey: id) }
    }

    /// Takes a place for a long body or answer; false when there is none.
    func openTransfer(max: Int) -> Bool {
        state.withLock { state in
            guard state.transfers < max, !state.stopping else { return false }
            state.transfers += 1
            return true
        }
    }

    func closeTransfer() {
        state.withLock { $0.transfers -= 1 }
    }

    /// The users whose names are remembered at once.
    private static let userNamesMax = 1_024

    /// A user's name, looked up once: a directory service may be slow.
    func userName(_ user: UInt32) -> String {
        if let known = state.withLock({ $0.userNames[user] }) { return known }
        let name = AccountNames.shownName(user)
        state.withLock { state in
            if state.userNames.count >= Self.userNamesMax { state.userNames = [:] }
            state.userNames[user] = name
        }
        return name
    }

    /// Whether `userName` answers at once.
    func knowsName(of user: UInt32) -> Bool { state.withLock { $0.userNames[user] != nil } }

    var isStopping: Bool { state.withLock { $0.stopping } }

    /// From now on nothing new is opened; returns what is open.
    func stop() -> (channels: [any Channel], streams: [@Sendable (StreamEnding) -> Void]) {
        state.withLock { state in
            state.stopping = true
            let channels = state.channels.merging(state.draining) { open, _ in open }
            return (Array(channels.values), Array(state.streams.values))
        }
    }
}

extension AdminServerCounters {
    /// The counters as samples.
    var samples: [MetricSample] {
        func counter(_ name: String, _ help: String, _ value: UInt64, _ labels: [MetricSample.Label] = [])
            -> MetricSample
        {
            MetricSample("gossipd_admin_\(name)", help: help, kind: .counter, labels: labels, value: Double(value))
        }
        func gauge(_ name: String, _ help: String, _ value: Int) -> MetricSample {
            MetricSample("gossipd_admin_\(name)", help: help, kind: .gauge, value: Double(value))
        }
        let requests = "Requests to the admin API by outcome: ok, or the code of the failure."
        var samples = [counter("requests_total", requests, requestsSucceeded, [.init("outcome", "ok")])]
        for (code, count) in requestsFailedByCode.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            samples.append(counter("requests_total", requests, count, [.init("outcome", code.rawValue)]))
        }
        return samples + [
            counter("connections_total", "Connections accepted.", connectionsAccepted),
            counter("connections_refused_total", "Connections refused at the limit.", connectionsRefused),
            counter("connections_cut_total", "Connections cut at a deadline.", connectionsCut),
            counter("protocol_errors_total", "Connections that did not speak HTTP/1.", protocolErrors),
            counter("streams_total", "Event and watch streams and streams of calls opened.", streamsOpened),
            counter("streams_cut_total", "Streams ended because their reader was too slow.", streamsCut),
            gauge("connections_open", "Connections open now.", connectionsOpen),
            gauge("streams_open", "Streams open now.", streamsOpen),
        ]
    }
}
