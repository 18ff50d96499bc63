// SPDX-License-Identifier: Apache-2.0
// Owns a stream's way to its reader: one JSON object a line, heartbeats, and a last line that says why it ends.

import AdminModel
import HTTPTypes
import HummingbirdCore
import NIOCore

/// A line of a stream: it knows its cursor and how to make the lines that belong to the stream itself.
protocol StreamLine: Encodable, Sendable {
    var cursor: String { get }
    static func heartbeat(cursor: String) -> Self
    static func closed(cursor: String, _ ending: StreamEnding) -> Self
}

extension ClusterEvent: StreamLine {
    static func heartbeat(cursor: String) -> ClusterEvent {
        ClusterEvent(
            cursor: cursor, time: WallClock.read(), event: StreamEvent.heartbeat, message: "nothing happened")
    }

    static func closed(cursor: String, _ ending: StreamEnding) -> ClusterEvent {
        ClusterEvent(
            cursor: cursor, time: WallClock.read(), event: StreamEvent.closed, reason: ending.rawValue,
            message: ending.message)
    }
}

extension WatchEvent: StreamLine {
    static func heartbeat(cursor: String) -> WatchEvent {
        var event = WatchEvent(cursor: cursor, event: StreamEvent.heartbeat)
        event.time = WallClock.read()
        return event
    }

    static func closed(cursor: String, _ ending: StreamEnding) -> WatchEvent {
        var event = WatchEvent(cursor: cursor, event: StreamEvent.closed)
        event.time = WallClock.read()
        event.reason = ending.rawValue
        event.message = ending.message
        return event
    }
}

/// Writes one subscription to one connection until either ends.
struct StreamWriter<Line: StreamLine>: Sendable {
    private let subscription: Subscription<Line>
    private let heartbeat: Duration
    private let state: ServerState
    private let channel: any Channel
    private let id: UInt64

    /// Takes one of the places for streams; fails with `busy` when there is none.
    init(
        _ subscription: Subscription<Line>, heartbeat: Duration? = nil, settings: AdminServerSettings,
        state: ServerState, channel: any Channel
    ) throws(AdminFailure) {
        guard let id = state.openStream(max: settings.maxStreams, { subscription.finish(.cut($0)) }) else {
            subscription.finish(.cancelled)
            throw AdminFailure(
                .busy, "\(settings.maxStreams) streams are open already: close one, or raise the limit")
        }
        self.subscription = subscription
        self.heartbeat = heartbeat ?? settings.heartbeatInterval
        self.state = state
        self.channel = channel
        self.id = id
        // A reader that hangs up must not keep its place until the next event.
        channel.closeFuture.whenComplete { _ in
            subscription.finish(.cancelled)
            state.closeStream(id)
        }
    }

    /// Where a reader resumes that has seen no line.
    var startCursor: String { subscription.startCursor }

    func write(to body: inout any ResponseBodyWriter) async throws {
        let interval = TimeAmount(heartbeat)
        let subscription = subscription
        let ticking = channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            subscription.tick()
        }
        defer {
            ticking.cancel()
            state.closeStream(id)
        }
        var cursor = subscription.startCursor
        while let delivery = await subscription.next() {
            switch delivery {
            case .event(let line):
                cursor = line.cursor
                try await body.write(try encode(line))
            case .idle: try await body.write(try encode(Line.heartbeat(cursor: cursor)))
            }
        }
        if case .cut(let ending) = subscription.ending {
            if ending == .slowReader { state.count { $0.streamsCut += 1 } }
            try await body.write(try encode(Line.closed(cursor: cursor, ending)))
        }
        try await body.finish(nil)
    }

    private func encode(_ line: Line) throws -> ByteBuffer {
        var bytes = try AdminJSON.encode(line)
        bytes.append(UInt8(ascii: "\n"))
        return ByteBuffer(bytes: bytes)
    }
}
