// SPDX-License-Identifier: Apache-2.0
// Owns which changes concern a file: those of its keys, and of what it sees of members.

import AdminModel

extension RenderSpec {
    /// Whether a change of this key may change the file.
    package func depends(on key: String) -> Bool {
        readInputs.contains { input in
            switch input {
            case .key(let own, _), .set(let own, _): own.description.utf8.elementsEqual(key.utf8)
            case .prefix(let prefix): prefix.shows(key)
            case .members: false
            }
        }
    }

    package var dependsOnMembers: Bool {
        readInputs.contains { if case .members = $0 { true } else { false } }
    }
}

/// What a template sees of a member; anything else, such as a round trip time, is no reason to render.
struct MemberSight: Hashable, Sendable {
    private let id: String
    private let name: String
    private let address: String
    private let state: MemberState
    private let tags: [String: String]

    private init(_ member: MemberDocument) {
        id = member.id
        name = member.name
        address = member.address
        state = member.state
        tags = member.tags
    }

    /// Of the members among the inputs of one file.
    static func all(in contents: some Sequence<InputContent>) -> [[MemberSight]] {
        contents.compactMap { content in
            guard case .members(let members) = content else { return nil }
            return members.map(MemberSight.init).sorted { $0.id < $1.id }
        }
    }
}
