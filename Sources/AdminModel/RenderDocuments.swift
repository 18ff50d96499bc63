// SPDX-License-Identifier: Apache-2.0
// Owns the documents about delivery: what is on this host's disk, on the fleet's, and what would change.

/// How one file of `render.d` stands on one host.
package struct RenderFileStatus: Codable, Hashable, Sendable {
    /// Open for newer daemons: an unknown text decodes as `unknown`.
    package enum State: String, CaseIterable, Codable, Sendable {
        /// On disk is what the keys say.
        case ok
        /// Not rendered yet, or a change waits for its time or is being checked, put in place and reloaded.
        case pending
        /// It could not be rendered or written; the former content is on disk.
        case failed
        /// The new content was not accepted: empty, shrunk or turned down by its check.
        case refused
        /// The reload failed with the new content: the former one is back.
        case rolledBack = "rolled_back"
        case unknown

        package init(from decoder: any Decoder) throws {
            self = State(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }

        package var isTrouble: Bool {
            switch self {
            case .failed, .refused, .rolledBack: true
            case .ok, .pending, .unknown: false
            }
        }
    }

    package var name: String
    /// An absolute path; nil when the description cannot be read.
    package var destination: String?
    package var state: State
    /// Of the content on disk: equal contents have equal versions on every host. Nil when there is none, or it is not
    /// known yet.
    package var version: String?
    /// When this daemon last put a content in place; nil when that is not known.
    package var appliedAt: Timestamp?
    /// Why the last try failed: one sentence.
    package var error: String?
    /// Since when tries have failed.
    package var errorSince: Timestamp?
    /// When it is tried again; nil in what the fleet sees.
    package var nextTryAt: Timestamp?

    package init(name: String, destination: String? = nil, state: State) {
        self.name = name
        self.destination = destination
        self.state = state
    }

    private enum CodingKeys: String, CodingKey {
        case name, destination, state, version, error
        case appliedAt = "applied_at"
        case errorSince = "error_since"
        case nextTryAt = "next_try_at"
    }
}

/// `GET /v1/render/status`: this host.
package struct RenderStatusDocument: Codable, Hashable, Sendable {
    /// Where the descriptions are.
    package var directory: String
    /// In order of their names; empty when nothing is delivered.
    package var files: [RenderFileStatus]

    package init(directory: String, files: [RenderFileStatus]) {
        self.directory = directory
        self.files = files
    }
}

/// What a host tells the fleet: the value of the register `.gossipd/render/NODE-ID`.
package struct RenderReport: Codable, Hashable, Sendable {
    /// Where every host's report is, followed by its node id.
    package static let prefix = ReservedKeys.prefix + "render/"
    /// Bytes of an error in a report; the whole sentence is with the host itself.
    package static let errorBytesMax = 400

    package var files: [RenderFileStatus]

    /// Leaves out what changes with each try.
    package init(files: [RenderFileStatus]) {
        self.files = files.map { file in
            var file = file
            file.nextTryAt = nil
            file.error = file.error.map(Self.shortened)
            // A change that waits for its moment is nobody else's business.
            if file.state == .pending, file.version != nil { file.state = .ok }
            return file
        }
    }

    private static func shortened(_ text: String) -> String {
        var count = 0
        let head = text.unicodeScalars.prefix {
            count += UTF8.width($0)
            return count <= errorBytesMax
        }
        return String(String.UnicodeScalarView(head))
    }
}

/// `GET /v1/render/status?fleet`: every host that has told.
package struct RenderFleetDocument: Codable, Hashable, Sendable {
    package struct File: Codable, Hashable, Sendable {
        package var status: RenderFileStatus
        /// Most hosts have another version, which came later.
        package var isBehind: Bool

        package init(status: RenderFileStatus, isBehind: Bool) {
            self.status = status
            self.isBehind = isBehind
        }

        private enum CodingKeys: String, CodingKey { case behind }

        package init(from decoder: any Decoder) throws {
            status = try RenderFileStatus(from: decoder)
            isBehind = try decoder.container(keyedBy: CodingKeys.self).decode(Bool.self, forKey: .behind)
        }

        package func encode(to encoder: any Encoder) throws {
            try status.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(isBehind, forKey: .behind)
        }
    }

    package struct Host: Codable, Hashable, Sendable {
        package var member: MemberIdentity
        package var state: MemberState
        /// When it last told; nil when it has told nothing, as a host without delivery.
        package var reportedAt: Timestamp?
        package var files: [File]

        package init(member: MemberIdentity, state: MemberState, reportedAt: Timestamp? = nil, files: [File] = []) {
            self.member = member
            self.state = state
            self.reportedAt = reportedAt
            self.files = files
        }

        private enum CodingKeys: String, CodingKey {
            case member, state, files
            case reportedAt = "reported_at"
        }
    }

    /// In order of the members' names, then ids.
    package var hosts: [Host]

    package init(hosts: [Host]) { self.hosts = hosts }

    /// Compares what the members have told.
    package init(members: [MemberDocument], reports: [String: (report: RenderReport, at: Timestamp)]) {
        var holders: [String: [String: [Timestamp?]]] = [:]
        let known = members.compactMap { reports[$0.id]?.report }
        for file in known.flatMap(\.files) {
            if let version = file.version {
                holders[file.name, default: [:]][version, default: []].append(file.appliedAt)
            }
        }
        hosts = members.sorted { ($0.name, $0.id) < ($1.name, $1.id) }.map { member in
            let told = reports[member.id]
            let files = (told?.report.files ?? []).map { file in
                File(status: file, isBehind: Self.isBehind(file, holders[file.name] ?? [:]))
            }
            return Host(member: member.identity, state: member.state, reportedAt: told?.at, files: files)
        }
    }

    /// Whether more than half of the hosts with this file have one other version, the newest of which is newer.
    private static func isBehind(_ file: RenderFileStatus, _ holders: [String: [Timestamp?]]) -> Bool {
        let total = holders.values.reduce(0) { $0 + $1.count } + (file.version == nil ? 1 : 0)
        guard let most = holders.first(where: { $0.value.count * 2 > total }), most.key != file.version else {
            return false
        }
        guard let own = file.appliedAt, let newest = most.value.compactMap({ $0 }).max() else { return true }
        return own < newest
    }
}

/// `POST /v1/render/plan` and `POST /v1/render/apply`: which files; none means all.
package struct RenderRequest: Codable, Hashable, Sendable {
    package var names: [String]?

    package init(names: [String] = []) { self.names = names.isEmpty ? nil : names }

    /// The names, none twice; fails with `bad_request` when there are too many or one cannot be a name.
    package func validated() throws(AdminFailure) -> [String] {
        let names = names ?? []
        guard names.count <= AdminLimits.renderNamesMax else {
            throw AdminFailure(.badRequest, "give at most \(AdminLimits.renderNamesMax) names of files")
        }
        for name in names where name.isEmpty || name.utf8.count > AdminLimits.referenceBytesMax {
            throw AdminFailure(.badRequest, "\(name.quoted) is no name of a file: see gossipctl render status")
        }
        return Array(Set(names)).sorted()
    }
}

/// The answer to `POST /v1/render/plan`: what applying would change. Nothing has changed.
package struct RenderPlanDocument: Codable, Hashable, Sendable {
    package enum Change: String, CaseIterable, Codable, Sendable {
        case unchanged
        /// There is no such file yet.
        case created
        case changed
        /// It would not be put in place: `error` says why.
        case failed
        case unknown

        package init(from decoder: any Decoder) throws {
            self = Change(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }
    }

    package struct File: Hashable, Sendable {
        package var name: String
        package var destination: String?
        package var change: Change
        package var error: String?
        /// Of what was rendered.
        package var version: String?
        /// The contents, only of what changes; nil when they are too large to show.
        package var old: [UInt8]?
        package var new: [UInt8]?

        package init(name: String, destination: String? = nil, change: Change, error: String? = nil) {
            self.name = name
            self.destination = destination
            self.change = change
            self.error = error
        }
    }

    /// In order of their names.
    package var files: [File]

    package init(files: [File]) { self.files = files }
}

extension RenderPlanDocument.File: Codable {
    private enum CodingKeys: String, CodingKey {
        case name, destination, change, error, version, old, new
        case oldBase64 = "old_base64"
        case newBase64 = "new_base64"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        destination = try container.decodeIfPresent(String.self, forKey: .destination)
        change = try container.decode(RenderPlanDocument.Change.self, forKey: .change)
        error = try container.decodeIfPresent(String.self, forKey: .error)
        version = try container.decodeIfPresent(String.self, forKey: .version)
        old = ByteText.join(
            text: try container.decodeIfPresent(String.self, forKey: .old),
            base64: try container.decodeIfPresent(String.self, forKey: .oldBase64))
        new = ByteText.join(
            text: try container.decodeIfPresent(String.self, forKey: .new),
            base64: try container.decodeIfPresent(String.self, forKey: .newBase64))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encodeIfPresent(destination, forKey: .destination)
        try container.encode(change, forKey: .change)
        try container.encodeIfPresent(error, forKey: .error)
        try container.encodeIfPresent(version, forKey: .version)
        for (bytes, plain, encoded) in [(old, CodingKeys.old, CodingKeys.oldBase64), (new, .new, .newBase64)] {
            guard let bytes else { continue }
            let (text, base64) = ByteText.split(bytes)
            try container.encodeIfPresent(text, forKey: plain)
            try container.encodeIfPresent(base64, forKey: encoded)
        }
    }
}

/// The answer to `POST /v1/render/apply`: how the files that were asked for stand now, and what was reloaded.
package struct RenderApplyDocument: Codable, Hashable, Sendable {
    package struct Reload: Codable, Hashable, Sendable {
        /// Such as `unit nginx.service`.
        package var target: String
        package var files: [String]
        /// Why it failed; nil when it did not.
        package var error: String?
        /// Whether it was done with the former contents, after the reload with the new ones failed; nil means false.
        package var isWithFormer: Bool?

        package init(target: String, files: [String], error: String? = nil, isWithFormer: Bool = false) {
            self.target = target
            self.files = files
            self.error = error
            self.isWithFormer = isWithFormer ? true : nil
        }

        private enum CodingKeys: String, CodingKey {
            case target, files, error
            case isWithFormer = "with_former"
        }
    }

    package var files: [RenderFileStatus]
    /// Names of the files that got a new content.
    package var changed: [String]
    package var reloads: [Reload]

    package init(files: [RenderFileStatus], changed: [String], reloads: [Reload]) {
        self.files = files
        self.changed = changed
        self.reloads = reloads
    }
}
