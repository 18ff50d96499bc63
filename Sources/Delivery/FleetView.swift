// SPDX-License-Identifier: Apache-2.0
// Owns what delivery needs of the node: the inputs of a template, and to hear when they may have changed.

import AdminModel

/// What an input stands for at one moment.
package enum InputContent: Hashable, Sendable {
    /// For `.key` and `.set`; nil when there is no such key.
    case key(KeyDocument?)
    /// For `.prefix`.
    case keys([KeyDocument])
    /// For `.members`.
    case members([MemberDocument])
}

/// What may have changed.
package enum FleetChange: Hashable, Sendable {
    /// These keys, of one write or one import.
    case keys([String])
    case members
    /// More than can be told: everything is rendered anew.
    case everything
}

/// The node as delivery sees it; the daemon implements it over the kernel, tests over memory.
package protocol FleetView: Sendable {
    /// The contents of `inputs` in their order, all of one moment: never half of an import.
    func read(_ inputs: [RenderSpec.Input]) async throws(AdminFailure) -> [InputContent]
    /// Changes from now on, until the node stops. What a slow reader misses becomes `everything`.
    func changes() -> AsyncStream<FleetChange>
}
