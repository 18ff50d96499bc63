// SPDX-License-Identifier: Apache-2.0
// Owns the kernel's counters since the process began.

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
    package var gossipRounds: UInt64 = 0
    package var memberSyncsStarted: UInt64 = 0
    package var memberSyncsServed: UInt64 = 0
    package var storeSyncsStarted: UInt64 = 0
    package var storeSyncsServed: UInt64 = 0
    package var storeSyncRowsSent: UInt64 = 0
    package var storeSyncRowsReceived: UInt64 = 0
    package var streamsEndedEarly: UInt64 = 0

    package init() {}

    package func ignored(_ reason: IgnoredPacket) -> UInt64 { packetsIgnored[Int(reason.rawValue)] }
}
