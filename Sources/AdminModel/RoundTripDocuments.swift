// SPDX-License-Identifier: Apache-2.0
// Owns the document of round trips that are known without a ping: `gossipctl rtt`.

/// The round trips from one member to others, the shortest first, unknown ones last.
package struct RoundTripsDocument: Codable, Hashable, Sendable {
    package struct Entry: Codable, Hashable, Sendable {
        package var member: MemberIdentity
        package var state: MemberState
        /// Smoothed, by the probes of the node that answers, when it is at one of the ends; milliseconds.
        package var rttMilliseconds: Double?
        /// By the network coordinates of both; milliseconds. Nil while one is not known.
        package var estimateMilliseconds: Double?
        /// How far the estimate may well be off; milliseconds.
        package var errorMilliseconds: Double?

        package init(
            member: MemberIdentity, state: MemberState, rttMilliseconds: Double? = nil,
            estimateMilliseconds: Double? = nil, errorMilliseconds: Double? = nil
        ) {
            self.member = member
            self.state = state
            self.rttMilliseconds = rttMilliseconds
            self.estimateMilliseconds = estimateMilliseconds
            self.errorMilliseconds = errorMilliseconds
        }

        /// Nothing was measured and nothing can be estimated.
        package var isUnknown: Bool { rttMilliseconds == nil && estimateMilliseconds == nil }

        private enum CodingKeys: String, CodingKey {
            case member, state
            case rttMilliseconds = "rtt_ms"
            case estimateMilliseconds = "rtt_estimate_ms"
            case errorMilliseconds = "rtt_estimate_error_ms"
        }

        /// Unknown numbers are null, so that a column never comes and goes.
        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(member, forKey: .member)
            try container.encode(state, forKey: .state)
            try container.encode(rttMilliseconds, forKey: .rttMilliseconds)
            try container.encode(estimateMilliseconds, forKey: .estimateMilliseconds)
            try container.encode(errorMilliseconds, forKey: .errorMilliseconds)
        }
    }

    package var from: MemberIdentity
    package var roundTrips: [Entry]

    package init(from: MemberIdentity, roundTrips: [Entry]) {
        self.from = from
        self.roundTrips = roundTrips
    }

    private enum CodingKeys: String, CodingKey {
        case from
        case roundTrips = "round_trips"
    }
}
