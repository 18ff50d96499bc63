// SPDX-License-Identifier: Apache-2.0
// Owns the daemon's log as a whole: form, level, output, and the loggers made from them.

import Glibc
package import Logging

/// The log of one process. Make one at the start, make loggers from it, flush it at the end.
package struct DaemonLog: Sendable {
    /// The form in use; never `auto`.
    package let format: LogFormat
    /// Set it to change the level of all loggers at once.
    package let level: SharedLogLevel
    package let output: LogOutput
    private let encoder: any LogEncoder
    private let limiter = RepeatLimiter()

    /// How often what was held back is looked through, so that the count comes although nothing else is logged.
    private static let repeatsInterval = Duration.seconds(10)

    /// - Parameter descriptor: where `json` and `text` go.
    package init(
        format: LogFormat, level: Logger.Level, identifier: String = "gossipd", descriptor: Int32 = STDERR_FILENO,
        environment: Environment = .process
    ) {
        var resolved = format.resolved(descriptor: descriptor, environment: environment)
        // journald answers nothing either way: without this, everything would be lost in silence.
        let isMissing = format == .journal && access(LogFormat.journalSocket, W_OK) != 0
        if isMissing { resolved = .text }
        let encoder: any LogEncoder
        switch resolved {
        case .journal: encoder = JournalLogEncoder(identifier: identifier)
        case .json: encoder = JSONLogEncoder()
        case .text, .auto:
            encoder = TextLogEncoder(isColoured: Self.takesColour(descriptor, environment: environment))
        }
        self.format = resolved
        self.level = SharedLogLevel(level)
        self.encoder = encoder
        let isJournal = resolved == .journal
        output = LogOutput(isJournal ? .journal : .descriptor(descriptor)) { count in
            encoder.encode(
                LogEntry(
                    time: .current(), level: .warning, message: "\(count) log entries were lost: nobody read them",
                    metadata: [
                        EventKind.metadataKey: "\(EventKind.logEntriesLost.rawValue)", "count": "\(count)",
                    ], label: identifier))
        }
        if isMissing {
            logger(label: identifier).warning("log.format is journal, but no journald listens here: writing text")
        }
    }

    /// A terminal that has not asked for plain text (https://no-color.org).
    private static func takesColour(_ descriptor: Int32, environment: Environment) -> Bool {
        isatty(descriptor) == 1 && environment["NO_COLOR"] == nil && environment["TERM"] != "dumb"
    }

    package func handler(label: String) -> EventLogHandler {
        EventLogHandler(label: label, level: level, encoder: encoder, output: output, limiter: limiter)
    }

    package func logger(label: String) -> Logger {
        Logger(label: label) { handler(label: $0) }
    }

    /// Waits for the entries so far, at most `milliseconds`; call it before the process ends.
    @discardableResult
    package func flush(milliseconds: Int = 1_000) -> Bool {
        for entry in limiter.finish() { output.write(encoder.encode(entry)) }
        return output.flush(milliseconds: milliseconds)
    }

    /// Tells how often lines have repeated that were held back, until it is cancelled.
    package func tellRepeats() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.repeatsInterval)
            for entry in limiter.due() { output.write(encoder.encode(entry)) }
        }
    }
}

extension Logger {
    /// Logs an event at its own level, with its kind as metadata for `MESSAGE_ID` and `GOSSIPD_EVENT`.
    package func event(
        _ kind: EventKind, _ message: @autoclosure () -> Logger.Message,
        metadata: @autoclosure () -> Logger.Metadata = [:],
        file: String = #fileID, function: String = #function, line: UInt = #line
    ) {
        log(
            level: kind.level, message(),
            metadata: metadata().merging([EventKind.metadataKey: .string(kind.rawValue)]) { $1 },
            file: file, function: function, line: line)
    }
}
