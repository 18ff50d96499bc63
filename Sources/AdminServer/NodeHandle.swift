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
    func forget(_ member: String) async throws(AdminFailure) -> ForgetResult
    func setTags(_ tags: [String: String]) async throws(AdminFailure) -> TagsDocument
    /// Names that are not set are ignored.
    func unsetTags(_ names: [String]) async throws(AdminFailure) -> TagsDocument
    /// Fails with `timed_out` when no answer comes.
    func ping(_ member: String) async throws(AdminFailure) -> PingResult

    /// Without `follow`: the events that are held after `since` (nil: all of them), and the subscription ends.
    /// With `follow`: those after `since` (nil: none) and then new ones as they happen.
    /// Fails with `resync` when `since` is older than what is held. `EventLog` does all this.
    func events(since cursor: String?, follow: Bool) async throws(AdminFailure) -> Subscription<ClusterEvent>
    /// New changes below `prefix`, after `since` when it is given. When changes after `since` are gone, the first
    /// event is `resync`, then the new ones follow.
    func watch(_ prefix: KeyPrefix, since cursor: String?) async throws(AdminFailure) -> Subscription<WatchEvent>

    /// Fails with `not_found` when there is no such key, of whatever type.
    func get(_ key: ConfigurationKey) async throws(AdminFailure) -> KeyDocument
    /// Writes a register; answers when it is durable here. Fails with `conflict` when the key has another type.
    func put(_ key: ConfigurationKey, value: [UInt8]) async throws(AdminFailure) -> WriteResult
    /// Deletes a key of any type; fails with `not_found` when there is none.
    func delete(_ key: ConfigurationKey) async throws(AdminFailure) -> WriteResult
    /// In byte order of the keys.
    func list(_ prefix: KeyPrefix) async throws(AdminFailure) -> KeyListDocument

    /// Creates the set when it is not there; fails with `conflict` when the key has another type.
    func addToSet(_ key: ConfigurationKey, elements: [[UInt8]]) async throws(AdminFailure) -> WriteResult
    /// Elements that are not there are ignored; fails with `not_found` when none of them is.
    func removeFromSet(_ key: ConfigurationKey, elements: [[UInt8]]) async throws(AdminFailure) -> WriteResult
    func listSet(_ key: ConfigurationKey) async throws(AdminFailure) -> SetDocument

    /// Creates the counter when it is not there; `value` of the answer is set.
    func addToCounter(_ key: ConfigurationKey, increment: Int64) async throws(AdminFailure) -> WriteResult
    func counter(_ key: ConfigurationKey) async throws(AdminFailure) -> CounterDocument

    /// What `/metrics` shows besides the server's own samples.
    func metrics() async throws(AdminFailure) -> [MetricSample]
}
