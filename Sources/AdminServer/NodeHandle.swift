// SPDX-License-Identifier: Apache-2.0
// Owns the one seam between the admin API and the node: what the API may ask, in types of the API.

import AdminModel

/// The node as the admin API sees it. The daemon implements it over the kernel, tests over memory.
///
/// Every call must end in bounded time, with `unavailable` or `timed_out` when the node cannot answer. Keys and
/// request bodies are validated before they come here; member references are not resolved yet
/// (`MemberReference.resolve` does it). Unexpected trouble is `internal`, with a sentence.
package protocol NodeHandle: Sendable {
    func status() async throws(AdminFailure) -> StatusDocument
    func members(_ filter: MemberFilter) async throws(AdminFailure) -> MembersDocument
    func explain(_ member: String) async throws(AdminFailure) -> MemberExplanation

    /// Returns when each address has answered or failed; fails with `unavailable` only when all of them failed.
    func join(_ addresses: [String]) async throws(AdminFailure) -> JoinResult
    /// Leaves gracefully; the daemon stops after that. Returns when a quorum of peers knows or the deadline is over.
    func leave() async throws(AdminFailure) -> LeaveResult
    /// Removes a member for good; fails with `conflict` when it is alive or suspect.
    func forget(_ member: String, isForced: Bool) async throws(AdminFailure) -> ForgetResult
    func setTags(_ tags: [String: String]) async throws(AdminFailure) -> TagsDocument
    /// Names that are not set are ignored.
    func unsetTags(_ names: [String]) async throws(AdminFailure) -> TagsDocument
    /// Fails with `timed_out` when no answer comes.
    func ping(_ member: String) async throws(AdminFailure) -> PingResult
    /// Without a ping: from a member (nil: this node) to one, or to all others that are alive or suspect.
    func roundTrips(from: String?, to: String?) async throws(AdminFailure) -> RoundTripsDocument

    /// Sends a user event to all members, this one included; answers when it is on its way. Fails with `busy` when this
    /// node has sent too many lately.
    func sendEvent(_ name: String, _ payload: [UInt8]) async throws(AdminFailure) -> UserEventResult

    /// Without `follow`: the events that are held after `since` (nil: all of them), and the subscription ends.
    /// With `follow`: those after `since` (nil: none) and then new ones as they happen.
    /// Fails with `resync` when `since` is older than what is held. `EventLog` does all this.
    func events(since cursor: String?, follow: Bool) async throws(AdminFailure) -> Subscription<ClusterEvent>
    /// New changes below `prefix`, after `since` when it is given. When changes after `since` are gone, the first
    /// event is `resync`, then the new ones follow.
    func watch(_ prefix: KeyPrefix, since cursor: String?) async throws(AdminFailure) -> Subscription<WatchEvent>

    /// Fails with `not_found` when there is no such key, of whatever type; `not_strict` when it is to be linearizable and
    /// the key is not strict.
    func get(_ key: ConfigurationKey, _ options: ReadOptions) async throws(AdminFailure) -> KeyDocument
    /// In byte order of the keys. A prefix that holds strict keys and others is read locally; `not_strict` when it is to be
    /// linearizable.
    func list(_ prefix: KeyPrefix, _ options: ReadOptions) async throws(AdminFailure) -> KeyListDocument

    /// Takes calls of one client that come in bunches; `answered` is called from any thread and must not wait, in whatever order the
    /// answers come. What is not taken goes to `get` and `write`.
    func bunches(
        answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    ) -> any KeyCallBunches

    func listSet(_ key: ConfigurationKey) async throws(AdminFailure) -> SetDocument

    func counter(_ key: ConfigurationKey) async throws(AdminFailure) -> CounterDocument

    /// All of `writes` or none, visible at once on every node; answered when they are durable here. The answer is for
    /// the first step's key; `value` is set when the only step is an increment.
    ///
    /// One put or delete of a strict key goes through the log; more of them, and other steps, fail with `strict_key`.
    ///
    /// Fails with `conflict` when a key has another type, `not_found` when a key to delete is not there or none of the
    /// elements to remove is, and as `KeyWriteOptions` says. Elements to remove that are not there are left out.
    func write(_ writes: [KeyWrite], _ options: KeyWriteOptions) async throws(AdminFailure) -> WriteResult
    /// Answers when `atLeast` nodes hold this version of the key or a newer one durably, or `timeout` is over: then
    /// with how many do. `version` nil means the present one; `not_found` when there is none.
    func holders(
        _ key: ConfigurationKey, version: String?, atLeast: Int, timeout: Duration
    ) async throws(AdminFailure) -> HoldersDocument

    /// The key as it was. Fails with `not_found` when it was not live then, `history_gone` when history does not
    /// reach that point.
    func past(_ key: ConfigurationKey, at point: PastPoint) async throws(AdminFailure) -> KeyDocument
    /// The key's changes before revision `before` (nil: all), the newest first, at most `limit`. Empty when none is
    /// kept.
    func history(
        _ key: ConfigurationKey, before: UInt64?, limit: Int
    ) async throws(AdminFailure) -> HistoryDocument
    /// The keys below `prefix` that differ, in byte order, after key `after`, at most `limit` and about
    /// `AdminLimits.pageBytesMax` bytes. `to` nil means now.
    func difference(
        _ prefix: KeyPrefix, from: PastPoint, to: PastPoint?, after: ConfigurationKey?, limit: Int
    ) async throws(AdminFailure) -> DiffDocument

    /// The live keys below `prefix` in byte order, all as of one moment, in pages of about a megabyte at most.
    func export(_ prefix: KeyPrefix) async throws(AdminFailure) -> PullStream<[KeyDocument]>
    /// A consistent backup, in pieces of at most a megabyte. Writes go on meanwhile.
    func backup() async throws(AdminFailure) -> PullStream<[UInt8]>
    /// Takes over a backup; only an empty store does, else `conflict`. A broken backup is `bad_request`, and nothing
    /// changed. `bytes` is read to its end unless this fails. Strict keys are written through the log, unless they are there.
    func restore(
        _ bytes: PullStream<[UInt8]>, strict mode: StrictRestore
    ) async throws(AdminFailure) -> RestoreResult

    /// Compares the stores of all active members with this one, in `timeout` at most.
    func verify(timeout: Duration) async throws(AdminFailure) -> VerifyDocument
    func doctor() async throws(AdminFailure) -> DoctorDocument
    /// The import queue after number `after` (nil: from the first), at most `limit` entries.
    func queuedWrites(after: UInt64?, limit: Int) async throws(AdminFailure) -> QueueDocument
    /// Writes `apply` anew, in one transaction with `user` and a reason that says so, and takes them and `drop` from
    /// the queue. Fails with `not_found` when one is not queued; then nothing is done.
    func decideQueued(
        apply: [UInt64], drop: [UInt64], user: String
    ) async throws(AdminFailure) -> QueueResult

    /// How the files of this host stand.
    func renderStatus() async throws(AdminFailure) -> RenderStatusDocument
    /// How the files of every member stand, as far as it has told.
    func renderFleet() async throws(AdminFailure) -> RenderFleetDocument
    /// What applying these files (none: all) would change. Fails with `not_found` for a name that is not there.
    func renderPlan(_ names: [String]) async throws(AdminFailure) -> RenderPlanDocument
    /// Renders these files (none: all) now; answers when each is in place or has failed, which is no failure of the
    /// request. Fails with `not_found` for a name that is not there.
    func renderApply(_ names: [String]) async throws(AdminFailure) -> RenderApplyDocument

    /// The ring of the keys that seal packets. Fails with `condition_failed` while packets are not sealed, as the next three do.
    func sealKeys() async throws(AdminFailure) -> SealKeysDocument
    /// `text` is one key as in a key file; it must go nowhere else. Answered when the ring is durable here. A key that is there
    /// already stays as it is; `conflict` for one that was retired.
    func installKey(_ text: [UInt8]) async throws(AdminFailure) -> SealKeyResult
    /// Seals with this key from now on; `not_found` when it is not installed, `conflict` when it was retired.
    func useKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult
    /// Opens packets under this key only until its grace is over; `conflict` for the active one.
    func retireKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult

    /// The strict group as this node knows it. Fails with `condition_failed` while no prefix is configured, as all below do.
    func strictGroup() async throws(AdminFailure) -> StrictDocument
    /// Answered when the order is committed, with the group as it is then.
    func orderStrict(_ order: StrictOrderRequest, timeout: Duration) async throws(AdminFailure) -> StrictDocument
    /// In one moment of the log; all keys are strict, else `not_strict`. Fails with `unavailable` and what became of it.
    func transact(
        _ transaction: StrictTransactionRequest, timeout: Duration
    ) async throws(AdminFailure) -> StrictTransactionResult
    /// A promise to keep what is bound to it for `ttl` after each renewal.
    func grantLease(_ ttl: Duration, timeout: Duration) async throws(AdminFailure) -> LeaseDocument
    /// Fails with `not_found` when the lease has ended.
    func renewLease(_ lease: UInt64, timeout: Duration) async throws(AdminFailure) -> LeaseDocument
    /// Deletes its keys and gives its locks back.
    func revokeLease(_ lease: UInt64, timeout: Duration) async throws(AdminFailure) -> ReleaseDocument
    /// A second time by the same lease it tells how things stand. Fails with `not_found` when the lease has ended.
    func acquireLock(
        _ name: ConfigurationKey, lease: UInt64, mayWait: Bool, timeout: Duration
    ) async throws(AdminFailure) -> LockDocument
    func releaseLock(
        _ name: ConfigurationKey, lease: UInt64, timeout: Duration
    ) async throws(AdminFailure) -> ReleaseDocument
    /// How `lease` stands with the lock; 0: how anybody does.
    func lock(_ name: ConfigurationKey, lease: UInt64, timeout: Duration) async throws(AdminFailure) -> LockDocument
    /// Locks that are held, by name, after `after`, at most `limit`.
    func locks(
        after: ConfigurationKey?, limit: Int, timeout: Duration
    ) async throws(AdminFailure) -> LockListDocument

    /// What `/metrics` shows besides the server's own samples.
    func metrics() async throws(AdminFailure) -> [MetricSample]
}

extension NodeHandle {
    package func get(_ key: ConfigurationKey) async throws(AdminFailure) -> KeyDocument {
        try await get(key, ReadOptions())
    }
}
