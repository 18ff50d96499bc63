// SPDX-License-Identifier: Apache-2.0
// Owns what the engine of delivery is given: the fleet, the renderer, who writes, clocks, and who hears of it.

import AdminModel

/// The engine's surroundings; the daemon gives the real ones, tests doubles.
package struct DeliveryParts: Sendable {
    /// Where the descriptions are, for people.
    package var directory: String
    /// Between two looks at all files, changed or not, which mends what somebody else changed on disk.
    package var interval: Duration
    package var fleet: any FleetView
    package var applier: any FileApplier
    /// Reads all descriptions.
    package var list: @Sendable () -> RenderListing
    /// Renders one file from the contents of its `readInputs`.
    package var render: @Sendable (RenderSpec, [InputContent]) async throws(DeliveryFailure) -> [UInt8]
    /// Time that only grows, from any beginning.
    package var now: @Sendable () -> Duration
    package var wall: @Sendable () -> Timestamp
    /// Returns when the node knows enough of the fleet to render from it; it may be cancelled.
    package var ready: @Sendable () async -> Void = {}
    package var tell: @Sendable (DeliveryEvent) -> Void = { _ in }
    /// What this host told the fleet before this process; nil when nothing.
    package var formerReport: @Sendable () async -> RenderReport? = { nil }
    /// Tells the fleet; nil: that nothing is delivered here any more. False when it has to be tried again.
    package var publish: @Sendable (RenderReport?) async -> Bool = { _ in true }

    package init(
        directory: String, interval: Duration, fleet: any FleetView, applier: any FileApplier,
        list: @escaping @Sendable () -> RenderListing,
        render: @escaping @Sendable (RenderSpec, [InputContent]) async throws(DeliveryFailure) -> [UInt8],
        now: @escaping @Sendable () -> Duration, wall: @escaping @Sendable () -> Timestamp
    ) {
        self.directory = directory
        self.interval = interval
        self.fleet = fleet
        self.applier = applier
        self.list = list
        self.render = render
        self.now = now
        self.wall = wall
    }
}

/// What happens to a file, told once for each change of its state.
package enum DeliveryEvent: Hashable, Sendable {
    case applied(name: String, destination: String, version: String?)
    /// The file has entered this state of trouble, or the reason is a new one.
    case trouble(RenderFileStatus)
    case recovered(name: String, destination: String)
    /// What these files asked for was reloaded. `isWithFormer`: with their former contents, after the reload with the new
    /// ones failed.
    case reloaded(target: String, files: [String], isWithFormer: Bool)
}

/// Totals since the start.
package struct DeliveryCounters: Hashable, Sendable {
    package var unchanged: UInt64 = 0
    package var applied: UInt64 = 0
    package var failed: UInt64 = 0
    package var refused: UInt64 = 0
    package var rolledBack: UInt64 = 0
    package var reloads: UInt64 = 0
    package var reloadsFailed: UInt64 = 0
    package var reports: UInt64 = 0

    package init() {}
}
