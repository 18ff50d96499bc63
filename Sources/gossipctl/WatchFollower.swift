// SPDX-License-Identifier: Apache-2.0
// Owns following a watch over the restarts of its daemon: each change once, in order, none left out.

import AdminClient
import AdminModel

/// Holds one event at a time: while it is handled, nothing more is read, and the daemon's bounded buffer fills. When the
/// daemon cuts the stream off, or goes away, it asks again with the cursor of the last event that was handled.
struct WatchFollower: Sendable {
    private static let pauseMin = Duration.milliseconds(100)
    private static let pauseMax = Duration.seconds(5)

    var client: AdminClient
    var prefix: KeyPrefix
    var heartbeat: Duration
    var reconnects: Bool

    /// Returns only by failing, or when the daemon ends the stream without a word.
    func run(
        since: String?, onEvent: (WatchEvent, [UInt8]) async throws(AdminFailure) -> Void
    ) async throws(AdminFailure) {
        var cursor = since
        var pause = Self.pauseMin
        while true {
            var handlingFailed = false
            var ended: AdminFailure?
            do throws(AdminFailure) {
                try await client.watch(prefix, since: cursor, heartbeat: heartbeat) { opened throws(AdminFailure) in
                    cursor = cursor ?? opened
                } onEvent: { event, line throws(AdminFailure) in
                    if event.event == StreamEvent.closed, reconnects {
                        ended = AdminFailure(.unavailable, event.message ?? "the daemon ended the stream")
                        return false
                    }
                    do throws(AdminFailure) {
                        try await onEvent(event, line)
                    } catch {
                        handlingFailed = true
                        throw error
                    }
                    try EventsCommand.checkEnding(event.event, event.message)
                    cursor = event.cursor
                    pause = Self.pauseMin
                    return true
                }
            } catch {
                guard reconnects, !handlingFailed, Self.isPassing(error.code) else { throw error }
                ended = error
            }
            guard reconnects else { return }
            // Told once for each outage.
            if pause == Self.pauseMin, let ended { Terminal.complain(Self.notice(ended)) }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    /// The reason comes last, as it may say what to do.
    static func notice(_ ended: AdminFailure) -> String { "reconnecting, because \(ended.message)" }

    /// Whether another try may succeed.
    private static func isPassing(_ code: AdminFailure.Code) -> Bool {
        switch code {
        case .unavailable, .unreachable, .timedOut, .busy, .resetting, .requestTimeout: true
        case .badRequest, .denied, .notFound, .unknownEndpoint, .methodNotAllowed, .conflict, .ambiguous,
            .requestIDReused, .resync, .historyGone, .conditionFailed, .strictKey, .notStrict, .tooLarge,
            .internalError, .unsupported,
            .clockOutlier, .storageFull, .badAnswer:
            false
        }
    }
}
