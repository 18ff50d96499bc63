// SPDX-License-Identifier: Apache-2.0
// Owns what `doctor` says when a second strict group is alive in the cluster.

import AdminModel

extension KernelNode {
    static func foreignFindings(_ group: StrictDocument) -> [DoctorDocument.Finding] {
        (group.foreignGroups ?? []).map { foreign in
            let voters = foreign.voters.map(\.name).joined(separator: ", ")
            let own = group.members.filter { $0.vote == .voter }.map(\.member.name).joined(separator: ", ")
            let other = "\(foreign.leader.name) leads strict group \(foreign.group) (voters \(voters))"
            let rest =
                "stop gossipd, empty the data directory, and start it again: it then belongs to the group that is left"
            let evidence = [
                "group": group.group ?? "", "voters": own, "other_group": foreign.group,
                "other_leader": foreign.leader.name, "other_voters": voters,
            ]
            guard let leader = group.leader else {
                return DoctorDocument.Finding(
                    .error, code: "strict_foreign_group",
                    summary: "\(other), while this host belongs to group \(group.group ?? "") (voters \(own)), "
                        + "which has no leader",
                    advice: "if that group is the right one, this one having been recovered there or given up: on "
                        + "this host, \(rest); neither bring back its other voters nor recover it beside that one",
                    evidence: evidence)
            }
            return DoctorDocument.Finding(
                .error, code: "strict_foreign_group",
                summary: "two strict groups are alive in this cluster, and strict keys exist twice: \(leader.name) "
                    + "leads this host's, \(group.group ?? "") (voters \(own)); \(other)",
                advice: "decide which of the two is to stay; save what only the other has (gossipctl kv export on one "
                    + "of its hosts); then on each of the other's hosts, its voters and all that show its group in "
                    + "gossipctl strict members: \(rest)",
                evidence: evidence)
        }
    }
}
