// SPDX-License-Identifier: Apache-2.0
// Owns the options that every command which writes takes: conditions, reason, request id, waiting.

import AdminClient
import AdminModel
import ArgumentParser

struct WriteOptionGroup: ParsableArguments {
    private static let waitTimeoutDefault = TimeoutArgument(duration: .seconds(30))

    @Option(
        help: ArgumentHelp("Write only if the key has this version, as kv get shows it.", valueName: "version"))
    var ifVersion: String?

    @Flag(help: "Write only if there is no such key.")
    var ifAbsent = false

    @Option(help: ArgumentHelp("Why, for kv history.", valueName: "text"))
    var message: String?

    @Option(
        help: ArgumentHelp(
            "A name for this write that you choose: sent twice under one name, it happens once.", valueName: "id"))
    var requestId: String?

    @Option(
        help: ArgumentHelp(
            "Return when that many nodes hold the write durably: a number, majority or all.", valueName: "nodes"),
        transform: WaitGoal.parse)
    var wait: WaitGoal?

    @Option(
        help: ArgumentHelp(
            "How long to wait for the nodes. (default: \(waitTimeoutDefault))", valueName: "duration"),
        transform: TimeoutArgument.parse)
    var waitTimeout: TimeoutArgument = waitTimeoutDefault

    func validate() throws {
        guard ifVersion == nil || !ifAbsent else {
            throw ValidationError("Give --if-version or --if-absent, one of the two.")
        }
    }

    /// Fails with `bad_request` when one is beyond its bound.
    func options(ttl: Duration? = nil) throws(AdminFailure) -> KeyWriteOptions {
        var options = KeyWriteOptions()
        if let ifVersion { options.condition = .version(ifVersion) }
        if ifAbsent { options.condition = .absent }
        options.message = message ?? ""
        // With an id the client may send it again when a restart of the daemon has cut the first answer off.
        options.requestID = requestId ?? Self.freshRequestID()
        options.ttlMilliseconds = ttl.map { UInt64($0 / .milliseconds(1)) }
        try options.validate()
        return options
    }

    /// 128 random bits: no two writes of a fleet get the same one.
    private static func freshRequestID() -> String {
        let halves = [UInt64.random(in: .min ... .max), .random(in: .min ... .max)]
        return KeyWriteOptions.ownIDPrefix + halves.map { String($0, radix: 36) }.joined(separator: "-")
    }

    /// Waits as `--wait` asks, with a line of progress when someone looks at the standard error.
    func finish(
        _ result: WriteResult, _ key: ConfigurationKey, _ client: AdminClient
    ) async throws(AdminFailure) -> WriteResult {
        guard let wait, result.keyClass != .strict else { return result }
        let progress = ProgressLine.standardError
        defer { progress?.clear() }
        return try await WriteWait(goal: wait, timeout: waitTimeout.duration).finish(
            result,
            ask: { atLeast, timeout throws(AdminFailure) in
                try await client.holders(key, version: result.version, atLeast: atLeast, timeout: timeout)
            }, progress: progress.map { line in { line.show(Self.progress($0)) } })
    }

    /// `held by 2 of 5 (waiting for web-3)`
    static func progress(_ holders: HoldersDocument) -> String {
        let shown = holders.missing.prefix(4).map(\.printable).joined(separator: ", ")
        let more = holders.missing.count > 4 ? ", \u{2026}" : ""
        let waiting = holders.missing.isEmpty ? "" : " (waiting for \(shown)\(more))"
        return "held by \(holders.nodesHolding) of \(holders.nodesTotal)\(waiting)"
    }
}

extension WaitGoal: BoundedArgument {
    static var bounds: String { "a number from 1 to 1000000, majority or all" }

    package init?(argument: String) { self.init(argument) }
}

/// `90s`, `5m`, `24h`, `7d`; at most ten years.
struct TimeToLive: BoundedArgument, Hashable {
    static let bounds = "1ms to \(AdminLimits.timeToLiveMax.components.seconds / 86_400)d, such as 90s, 5m, 24h or 7d"

    var duration: Duration

    init?(argument: String) {
        guard let duration = DurationText.parse(argument, max: AdminLimits.timeToLiveMax) else { return nil }
        self.duration = duration
    }
}
