// SPDX-License-Identifier: Apache-2.0
// Owns the configuration store of one node: its rows and the indexes over them.

import ClusterTypes

package struct Store: Sendable {
    package private(set) var actor: ActorID
    package let configuration: StoreConfiguration
    package private(set) var context = CausalContext()
    package private(set) var root = Hash128.zero
    package var rowCount: Int { 0 }
    package private(set) var liveKeyCount = 0
    package private(set) var bytes = 0

    package init(actor: ActorID, configuration: StoreConfiguration = StoreConfiguration()) {
        self.actor = actor
        self.configuration = configuration
    }

    package mutating func renewActor(to actor: ActorID) { self.actor = actor }
    package mutating func put(_ value: [UInt8], for key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        throw .notFound
    }
    package mutating func delete(_ key: String, wall: WallTime) throws(StoreFailure) -> Mutation { throw .notFound }
    package mutating func add(_ element: [UInt8], to key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        throw .notFound
    }
    package mutating func remove(_ element: [UInt8], from key: String, wall: WallTime) throws(StoreFailure) -> Mutation
    { throw .notFound }
    package mutating func increment(_ key: String, by amount: Int64, wall: WallTime) throws(StoreFailure) -> Mutation {
        throw .notFound
    }
    package mutating func merge(_ row: Row, wall: WallTime) -> MergeOutcome { .known }
    package mutating func adopt(context peer: CausalContext) -> AdoptOutcome { .adopted }
    package func rowsMissing(
        from peer: CausalContext, limit: RepairLimit = RepairLimit(), resume cursor: RepairCursor? = nil
    ) -> RepairBatch { RepairBatch(rows: [], bytes: 0, snapshot: context, next: nil) }
    package func read(_ key: String) -> KeyView? { nil }
    package func row(_ id: RowID) -> Row? { nil }
    package func list(
        prefix: String = "", after: String? = nil, limit: Int = 1_000, bytesMax: Int = 1024 * 1024
    ) -> KeyPage { KeyPage(entries: [], next: nil) }
    package func checkInvariants() {}
    package func checkInvariantsQuickly() {}
}
