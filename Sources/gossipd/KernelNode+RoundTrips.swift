// SPDX-License-Identifier: Apache-2.0
// Owns the answer to `gossipctl rtt`: round trips that are known without a ping.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import SWIMCore

extension KernelNode {
    func roundTrips(from: String?, to: String?) async throws(AdminFailure) -> RoundTripsDocument {
        var source: MemberIdentity?
        if let from { source = try await resolve(from) }
        var target: MemberIdentity?
        if let to { target = try await resolve(to) }
        if let source, source.id == target?.id {
            throw AdminFailure(.badRequest, "\(source.name) is both ends: name two members")
        }
        guard case .roundTrips(let origin, let trips) = try await ask(.roundTrips(from: source?.id, to: target?.id))
        else { throw .unexpectedReply }
        return RoundTripsDocument(
            from: Self.document(origin).identity,
            roundTrips: trips.map { trip in
                let member = Self.document(trip.member)
                return RoundTripsDocument.Entry(
                    member: member.identity, state: member.state, rttMilliseconds: trip.measured.map(Self.rounded),
                    estimateMilliseconds: trip.estimate.map { Self.rounded($0.expected) },
                    errorMilliseconds: trip.estimate.map { Self.rounded($0.error) })
            })
    }

    /// Milliseconds, exact to a microsecond.
    static func rounded(_ interval: Interval) -> Double { (interval.milliseconds * 1_000).rounded() / 1_000 }
}
