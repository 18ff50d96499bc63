// SPDX-License-Identifier: Apache-2.0
// Owns the description of one key: everything that reading, checking, documenting and reloading need to know.

/// When a changed key takes effect.
package enum ReloadEffect: String, Sendable {
    /// On SIGHUP.
    case atOnce = "at once"
    /// The change is named in the journal on SIGHUP and waits for a restart.
    case restart = "restart"
}

/// What a key is when it is not written.
enum KeyDefault<Value: Sendable>: Sendable {
    case value(Value)
    /// It depends on `membership.profile`.
    case profile(lan: Value, wan: Value, local: Value)
    /// Worked out from something else, said in words for the documentation; `example` is shown in the file.
    case derived(String, initial: Value, example: Value)

    func value(_ profile: DaemonConfiguration.Membership.Profile) -> Value {
        switch self {
        case .value(let value): value
        case .profile(let lan, let wan, let local):
            switch profile {
            case .lan: lan
            case .wan: wan
            case .local: local
            }
        case .derived(_, let initial, _): initial
        }
    }
}

/// One key of the configuration file.
struct KeySpecification: Sendable {
    /// The table, empty at the top, and the key: `["membership", "probe_interval"]`.
    var path: [String]
    var type: String
    var range: String
    /// The default in words: a TOML literal, or how it is derived.
    var defaultText: String
    /// What the example file shows behind `=`.
    var exampleText: String
    /// True when the example is not the default.
    var isDerived: Bool
    /// One or two sentences; what it does, then what to consider.
    var documentation: String
    /// Formula and source of a tunable.
    var source: String?
    var reload: ReloadEffect
    /// The command line flag that wins over the key.
    var flag: String?

    var applyDefault: @Sendable (inout DaemonConfiguration, DaemonConfiguration.Membership.Profile) -> Void
    var assign: @Sendable (inout DaemonConfiguration, TOMLNode) throws(Refusal) -> Void
    /// Takes the key's value over from another configuration.
    var adopt: @Sendable (inout DaemonConfiguration, DaemonConfiguration) -> Void
    /// The value in force, as TOML.
    var render: @Sendable (DaemonConfiguration) -> String

    var name: String { path.joined(separator: ".") }
    var table: String { path.dropLast().joined(separator: ".") }
    var leaf: String { path.last ?? "" }

    init<Value: Equatable & Sendable>(
        _ name: String,
        _ member: any WritableKeyPath<DaemonConfiguration, Value> & Sendable,
        _ rule: ValueRule<Value>,
        default fallback: KeyDefault<Value>,
        _ documentation: String,
        source: String? = nil,
        reload: ReloadEffect = .restart,
        flag: String? = nil
    ) {
        path = name.split(separator: ".").map(String.init)
        type = rule.type
        range = rule.range
        self.documentation = documentation
        self.source = source
        self.reload = reload
        self.flag = flag
        switch fallback {
        case .value(let value):
            defaultText = rule.encode(value)
            exampleText = defaultText
            isDerived = false
        case .profile(let lan, let wan, let local):
            exampleText = rule.encode(lan)
            defaultText = "lan \(rule.encode(lan)), wan \(rule.encode(wan)), local \(rule.encode(local))"
            isDerived = false
        case .derived(let words, _, let example):
            defaultText = words
            exampleText = rule.encode(example)
            isDerived = true
        }
        applyDefault = { $0[keyPath: member] = fallback.value($1) }
        assign = { (configuration, node) throws(Refusal) in
            configuration[keyPath: member] = try rule.decode(node)
        }
        adopt = { $0[keyPath: member] = $1[keyPath: member] }
        render = { rule.encode($0[keyPath: member]) }
    }
}
