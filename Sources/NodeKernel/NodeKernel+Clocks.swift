// SPDX-License-Identifier: Apache-2.0
// Owns the comparison of wall clocks: offsets measured on acks, and whether this host is the outlier.

import ClusterTypes
import SWIMCore
import StoreCore

/// What is known of the others' clocks.
struct ClockState: Sendable {
    /// Set while most others disagree with this host's clock by more than is allowed.
    var outlierOffset: Int64?
}
