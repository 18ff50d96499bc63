// SPDX-License-Identifier: Apache-2.0
// Owns the store's tunables.

import ClusterTypes

package struct StoreConfiguration: Hashable, Sendable {
    /// How far a peer's stamp may be ahead of our wall clock before its row is quarantined. Milliseconds; default
    /// 60 000, range 1...86 400 000. Too small refuses hosts without time synchronisation, too large lets one bad
    /// clock win every concurrent write for that long (PEERS.md: yugabyte #10628).
    package let clockSkewMaxMilliseconds: UInt64
    /// Rows in the store, tombstones included; more are refused. Default 16 777 216, range 1...2 147 483 647.
    package let rowsMax: Int

    /// Takes the nearest value in range.
    package init(clockSkewMaxMilliseconds: UInt64 = 60_000, rowsMax: Int = 1 << 24) {
        self.clockSkewMaxMilliseconds = min(max(clockSkewMaxMilliseconds, 1), 86_400_000)
        self.rowsMax = min(max(rowsMax, 1), Int(Int32.max))
    }
}
