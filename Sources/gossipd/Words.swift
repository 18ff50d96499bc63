// SPDX-License-Identifier: Apache-2.0
// Owns the stable words and the sentences for the kernel's reasons.

import AdminModel
import NodeKernel
import SWIMCore
import Sealing
import StoreCore

typealias SWIMEvent = SWIMCore.MemberEvent
/// The API's type for keys; the store's namesake is its rule.
typealias ConfigurationKey = AdminModel.ConfigurationKey

extension JoinFailure {
    /// For `reason` in events and metrics.
    var word: String {
        switch self {
        case .unresolved: "unresolved"
        case .refused: "refused"
        case .timedOut: "timed_out"
        case .unreachable: "unreachable"
        case .brokenOff: "broken_off"
        case .noCommonKey: "no_common_key"
        case .otherCluster: "other_cluster"
        }
    }

    var sentence: String {
        switch self {
        case .unresolved: "the name does not resolve"
        case .refused: "nothing listens there; is gossipd running on that host?"
        case .timedOut: "no answer in time; is the port open in the firewall, for TCP and UDP?"
        case .unreachable: "there is no route to it"
        case .brokenOff: "it broke the connection off"
        case .noCommonKey: "it does not take our key; compare gossipctl key list on both hosts"
        case .otherCluster: "it belongs to another cluster; compare `cluster` in both configurations"
        }
    }
}

extension SealRefusal {
    var sentence: String {
        switch self {
        case .plain: "they are not sealed; give that host the keys, or both sides insecure = true for the time being"
        case .version: "they are sealed for another version; is gossipd there as new as here?"
        case .cluster: "they are sealed for another cluster; compare `cluster` in both configurations"
        case .unknownKey: "they are sealed with a key that this node does not have; compare the keys of both hosts"
        case .seal: "their seal is broken: damaged on the way, forged, or of another cluster"
        case .replay: "they were seen before"
        case .silent: "it connects and shows no key; is that another program, a port scan, a load balancer's check?"
        }
    }
}

extension IgnoredPacket {
    var word: String {
        switch self {
        case .otherCluster: "other_cluster"
        case .unexpected: "unexpected"
        }
    }

    var sentence: String {
        switch self {
        case .otherCluster: "they belong to another cluster"
        case .unexpected: "they make no sense here"
        }
    }
}

extension StoreCore.KeyType {
    var word: String { document.rawValue }

    var document: AdminModel.KeyType {
        switch self {
        case .register: .register
        case .set: .set
        case .counter: .counter
        }
    }
}

/// `1 row`, `2 rows`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
