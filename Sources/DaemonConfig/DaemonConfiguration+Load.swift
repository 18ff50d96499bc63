// SPDX-License-Identifier: Apache-2.0
// Owns the way from a file and flags to a checked configuration: every problem is collected, none is skipped.

import ClusterTypes

extension DaemonConfiguration {
    /// Reads `file` (none: defaults only), lets `overrides` win, and checks the whole.
    ///
    /// - Parameter hostName: the default of `name`.
    /// - Throws: all problems at once, each with file, line, key and reason.
    package static func load(
        file: String?, overrides: ConfigurationOverrides = .init(), hostName: String = HostName.current()
    ) throws(ConfigurationError) -> DaemonConfiguration {
        guard let file else {
            return try parse([], file: "", overrides: overrides, hostName: hostName)
        }
        let bytes: [UInt8]
        do throws(FileReadFailure) {
            bytes = try FileText.read(file, sizeMax: TOMLDocument.textSizeMax + 1)
        } catch {
            throw ConfigurationError(problems: [
                .init(place: .file(file, line: nil, column: nil), reason: error.reason)
            ])
        }
        return try parse(bytes, file: file, overrides: overrides, hostName: hostName)
    }

    /// The same for text that is already here; `file` only names it in errors.
    package static func parse(
        _ bytes: [UInt8], file: String, overrides: ConfigurationOverrides = .init(),
        hostName: String = HostName.current()
    ) throws(ConfigurationError) -> DaemonConfiguration {
        let document = try TOMLDocument.parse(bytes, file: file)
        var loader = ConfigurationLoader(file: file, document: document)
        loader.collect(document.members, below: [])
        loader.apply(overrides)
        loader.hasKeys = overrides.hasKeys
        return try loader.finish(hostName: hostName)
    }
}

/// Gathers the values of the known keys, then assigns and checks them.
struct ConfigurationLoader {
    /// A value and where it was written.
    private struct Written {
        var node: TOMLNode
        var place: ConfigurationError.Place
    }

    private let file: String
    private let document: TOMLDocument
    private var written: [String: Written] = [:]
    private var problems: [ConfigurationError.Problem] = []
    /// Keys come from elsewhere than a file that the configuration names.
    var hasKeys = false

    init(file: String, document: TOMLDocument) {
        self.file = file
        self.document = document
    }

    private func place(_ path: [String]) -> ConfigurationError.Place {
        let location = document.locations[path]
        return .file(file, line: location?.line, column: location?.column)
    }

    /// Nobody reads more at once; the rest shows when these are corrected.
    private static let problemsMax = 100

    private mutating func report(
        _ path: [String], _ reason: @autoclosure () -> String, at place: ConfigurationError.Place? = nil
    ) {
        guard problems.count < Self.problemsMax else { return }
        problems.append(.init(place: place ?? self.place(path), key: TOMLText.path(path), reason: reason()))
    }

    // MARK: Keys

    mutating func collect(_ members: [TOMLNode.Member], below table: [String]) {
        for member in members {
            let path = table + [member.key]
            let name = path.joined(separator: ".")
            if table.count < 2, KeyTable.all.contains(where: { $0.path == path }) {
                written[name] = Written(node: member.value, place: place(path))
            } else if table.isEmpty, KeyTable.tables.contains(where: { $0.name == member.key && !$0.name.isEmpty }) {
                guard case .table(let inner) = member.value else {
                    report(path, "must be a table, written as [\(member.key)], not \(member.value.kind)")
                    continue
                }
                collect(inner, below: path)
            } else {
                report(path, KeySuggestion.sentence(for: path, isTable: member.value.isTable))
            }
        }
    }

    mutating func apply(_ overrides: ConfigurationOverrides) {
        func override(_ name: String, _ flag: String, _ text: String?) {
            guard let text else { return }
            written[name] = Written(node: .string(text), place: .flag(flag))
        }
        override("name", "--name", overrides.name)
        override("bind", "--bind", overrides.bind)
        override("advertise", "--advertise", overrides.advertise)
        override("data_dir", "--data-dir", overrides.dataDirectory)
        override("admin.socket", "--socket", overrides.socket)
        override("log.format", "--log-format", overrides.logFormat)
        override("log.level", "--log-level", overrides.logLevel)
        if !overrides.join.isEmpty {
            written["join"] = Written(node: .array(overrides.join.map { .string($0) }), place: .flag("--join"))
        }
    }

    // MARK: Values

    mutating func finish(hostName: String) throws(ConfigurationError) -> DaemonConfiguration {
        var configuration = DaemonConfiguration()
        // The profile first: it sets the defaults of others.
        assign("membership.profile", in: &configuration)
        let profile = configuration.membership.profile
        for key in KeyTable.all where key.name != "membership.profile" {
            key.applyDefault(&configuration, profile)
            assign(key.name, in: &configuration)
        }
        deriveName(&configuration, hostName: hostName)
        deriveAdvertise(&configuration)
        checkTogether(configuration)
        guard problems.isEmpty else {
            throw ConfigurationError(problems: ConfigurationError.ordered(problems))
        }
        return configuration
    }

    private mutating func assign(_ name: String, in configuration: inout DaemonConfiguration) {
        guard let key = KeyTable.all.first(where: { $0.name == name }), let written = written[name] else { return }
        do throws(Refusal) {
            try key.assign(&configuration, written.node)
        } catch {
            let path = key.path + error.element
            switch written.place {
            case .file: report(path, error.reason)
            case .flag, .builtIn: report(path, error.reason, at: written.place)
            }
            // The default goes on standing for it, so that the checks below do not report it twice.
            self.written[name] = nil
            refused.insert(name)
        }
    }

    /// Keys whose value was refused: what depends on them is not checked.
    private var refused: Set<String> = []

    private mutating func deriveName(_ configuration: inout DaemonConfiguration, hostName: String) {
        guard written["name"] == nil, !refused.contains("name") else { return }
        do throws(Refusal) {
            configuration.name = try ValueRule<String>.name.decode(.string(hostName))
        } catch {
            report(
                ["name"], "the host name \(shown(hostName)) \(error.reason); write name = \"NAME\"",
                at: file.isEmpty ? .builtIn : .file(file, line: nil, column: nil))
        }
    }

    private mutating func deriveAdvertise(_ configuration: inout DaemonConfiguration) {
        guard !refused.contains("bind"), !refused.contains("advertise"), written["advertise"] == nil else { return }
        guard configuration.bind.isUnspecified else {
            configuration.advertise = configuration.bind
            return
        }
        report(
            ["advertise"],
            "missing: bind is \(configuration.bind), which peers cannot dial; write advertise ="
                + " \"ADDRESS:\(configuration.bind.port)\" with the address at which they reach this host",
            at: written["bind"]?.place)
    }

    // MARK: Checks over several keys

    private mutating func checkTogether(_ configuration: DaemonConfiguration) {
        let bind = configuration.bind
        let isSealed = hasKeys || !configuration.keyFile.isEmpty
        check("bind", "insecure", !bind.isLoopback && !configuration.insecure && !isSealed) {
            "\(bind) is not a loopback address and there is no key to seal packets with; put a key file into the folder"
                + " keys.d beside this file, which the unit passes on (NAME.keys.d for gossipd@NAME), or write key_file ="
                + " \"PATH\", or insecure = true to accept that whoever reaches the port can change members and configuration"
        }
        let membership = configuration.membership
        check(
            "membership.probe_timeout", "membership.probe_interval",
            membership.probeTimeout >= membership.probeInterval
        ) {
            "must be shorter than probe_interval (\(DurationText.format(membership.probeInterval))), not"
                + " \(DurationText.format(membership.probeTimeout))"
        }
        check(
            "membership.gossip_interval", "membership.probe_interval",
            membership.gossipInterval > membership.probeInterval
        ) {
            "must be at most probe_interval (\(DurationText.format(membership.probeInterval))), not"
                + " \(DurationText.format(membership.gossipInterval))"
        }
        check(
            "membership.forgotten_retention", "membership.failed_retention",
            membership.forgottenRetention < membership.failedRetention
        ) {
            "must be at least failed_retention (\(DurationText.format(membership.failedRetention))), not"
                + " \(DurationText.format(membership.forgottenRetention))"
        }
        guard case .names(let voters) = configuration.strict.voters else { return }
        check(
            "strict.eligible", "strict.voters",
            !configuration.strict.isEligible && voters.contains(configuration.name) && !refused.contains("name")
        ) {
            "is false, but strict.voters names this node, \(shown(configuration.name)), as a founder: change one of the two"
        }
    }

    /// Reports `key` if it is wrong beside `other`, at whichever of the two is written.
    private mutating func check(_ key: String, _ other: String, _ isWrong: Bool, _ reason: () -> String) {
        guard isWrong, !refused.contains(key), !refused.contains(other) else { return }
        let place = written[key]?.place ?? written[other]?.place ?? .file(file, line: nil, column: nil)
        problems.append(.init(place: place, key: key, reason: reason()))
    }
}

extension TOMLNode {
    package var isTable: Bool {
        switch self {
        case .table: true
        case .array(let elements): elements.contains { $0.isTable }
        case .string, .integer, .number, .boolean, .date: false
        }
    }
}
