// SPDX-License-Identifier: Apache-2.0
// Owns the kernel's counters since the process began.

import ClusterTypes
import SWIMCore

/// Counters of the kernel beside those of membership; a driver reads them for metrics and reports.
package struct KernelStatistics: Hashable, Sendable {
    package var packetsIgnored = [UInt64](repeating: 0, count: IgnoredPacket.allCases.count)
    package var sendFailures: UInt64 = 0
    package var rowsApplied: UInt64 = 0
    package var rowsKnown: UInt64 = 0
    package var rowsQuarantined: UInt64 = 0
    package var rowsRefused: UInt64 = 0
    /// Put off because the disk does not keep up; not merged, to be sent again by anti-entropy.
    package var rowsDeferred: UInt64 = 0
    package var localWrites: UInt64 = 0
    /// Writes that were asked for again under the same id and answered without writing.
    package var requestsRepeated: UInt64 = 0
    /// Changes that time alone has made: values that expired.
    package var valuesExpired: UInt64 = 0
    /// Transactions of peers that came in parts and had to wait for the rest.
    package var transactionsStashed: UInt64 = 0
    /// Of those, given up because the rest did not come or there was no room; anti-entropy brings them again.
    package var transactionsDropped: UInt64 = 0
    /// Questions to peers whether they hold a write durably, and their answers.
    package var confirmationsAsked: UInt64 = 0
    package var confirmationsReceived: UInt64 = 0
    /// Answers to such questions of peers.
    package var confirmationsGiven: UInt64 = 0
    package var gossipRounds: UInt64 = 0
    package var memberSyncsStarted: UInt64 = 0
    package var memberSyncsServed: UInt64 = 0
    package var storeSyncsStarted: UInt64 = 0
    package var storeSyncsServed: UInt64 = 0
    package var storeSyncRowsSent: UInt64 = 0
    package var storeSyncRowsReceived: UInt64 = 0
    package var streamsEndedEarly: UInt64 = 0
    /// Sentinel streams that came about, at both ends; that ended without a farewell; and refusals of datagrams.
    package var sentinelsHeld: UInt64 = 0
    package var sentinelsBroken: UInt64 = 0
    package var datagramsRefused: UInt64 = 0
    /// Rows of peers that would have changed strict keys past the group.
    package var strictRowsRefused: UInt64 = 0
    /// Rows of strict keys by another strict group, which was alive beside this node's.
    package var strictForeignRows: UInt64 = 0
    /// Messages of the strict group that no stream took.
    package var strictMessagesLost: UInt64 = 0
    /// Of this node's own direct probes.
    package var roundTrips = DurationHistogram()

    package init() {}

    package func ignored(_ reason: IgnoredPacket) -> UInt64 { packetsIgnored[Int(reason.rawValue)] }
}
