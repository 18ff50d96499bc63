// SPDX-License-Identifier: Apache-2.0
// Owns which member an operator means by a name, an id or the beginning of an id.

package enum MemberReference {
    /// The fewest digits taken as the beginning of an id.
    package static let prefixDigitsMin = 4

    /// The one member that `text` names: the whole id first, then the name, then an id prefix of at least
    /// four digits. Fails with `not_found`, or with `ambiguous` and the candidates' ids.
    package static func resolve(
        _ text: String, among members: some Sequence<MemberIdentity>
    ) throws(AdminFailure) -> MemberIdentity {
        let members = Array(members)
        let lowered = text.lowercased()
        if let exact = members.first(where: { $0.id == lowered }) { return exact }
        var candidates = members.filter { $0.name == text }
        if candidates.isEmpty, text.utf8.count >= prefixDigitsMin {
            candidates = members.filter { $0.id.hasPrefix(lowered) }
        }
        guard let first = candidates.first else {
            throw AdminFailure(
                .notFound, "no member is named \(text.quoted) or has such an id: see gossipctl members")
        }
        guard candidates.count == 1 else {
            let shown = candidates.prefix(4).map { "\($0.id) (\($0.name))" }.joined(separator: ", ")
            throw AdminFailure(
                .ambiguous, "\(text.quoted) fits \(candidates.count) members: give the id of one of \(shown)")
        }
        return first
    }
}
