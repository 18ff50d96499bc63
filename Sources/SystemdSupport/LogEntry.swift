// SPDX-License-Identifier: Apache-2.0
// Owns one log entry on its way to an encoder, and the connection to swift-log.

package import Logging
import Synchronization

/// One entry with its metadata merged, ready to be encoded.
package struct LogEntry: Sendable {
    package var time: LogTime
    package var level: Logger.Level
    package var message: String
    /// Sorted by key, without duplicates.
    package var metadata: [(key: String, value: Logger.MetadataValue)]
    /// The logger's label.
    package var label: String
    package var file: String
    package var function: String
    package var line: UInt

    package init(
        time: LogTime, level: Logger.Level, message: String, metadata: Logger.Metadata = [:], label: String,
        file: String = "", function: String = "", line: UInt = 0
    ) {
        self.time = time
        self.level = level
        self.message = message
        self.metadata = metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        self.label = label
        self.file = file
        self.function = function
        self.line = line
    }

    /// The kind of event, when the metadata names a known one under `event`.
    package var event: EventKind? {
        metadata.first { $0.key == EventKind.metadataKey }.flatMap { EventKind(rawValue: "\($0.value)") }
    }
}

/// Turns an entry into bytes.
package protocol LogEncoder: Sendable {
    func encode(_ entry: LogEntry) -> LogRecord
}

/// A log level that may change while the daemon runs (SIGHUP), shared by all loggers.
package final class SharedLogLevel: Sendable {
    private let state: Mutex<Logger.Level>

    package init(_ level: Logger.Level) { state = Mutex(level) }

    package var level: Logger.Level {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// The LogHandler of gossipd: merges metadata, encodes, queues.
package struct EventLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    /// The shared level, unless this one logger was given its own.
    package var logLevel: Logger.Level {
        get { ownLevel ?? shared.level }
        set { ownLevel = newValue }
    }

    private var ownLevel: Logger.Level?
    private let label: String
    private let shared: SharedLogLevel
    private let encoder: any LogEncoder
    private let output: LogOutput
    private let limiter: RepeatLimiter?
    private let time: @Sendable () -> LogTime

    /// Milliseconds that a critical entry waits to be written: the process may be about to end.
    private static let criticalFlushMax = 200

    package init(
        label: String, level: SharedLogLevel, encoder: any LogEncoder, output: LogOutput,
        limiter: RepeatLimiter? = nil,
        time: @escaping @Sendable () -> LogTime = LogTime.current
    ) {
        self.label = label
        shared = level
        self.encoder = encoder
        self.output = output
        self.limiter = limiter
        self.time = time
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { $1 } }
        if let error = event.error { merged["error"] = "\(error)" }
        if let own = event.metadata { merged.merge(own) { $1 } }
        let entry = LogEntry(
            time: time(), level: event.level, message: event.message.description, metadata: merged, label: label,
            file: event.file, function: event.function, line: event.line)
        for entry in limiter?.take(entry) ?? [entry] { output.write(encoder.encode(entry)) }
        if event.level == .critical { output.flush(milliseconds: Self.criticalFlushMax) }
    }
}
