// SPDX-License-Identifier: Apache-2.0
// Owns one handler as values: which events it is for, what runs, and within which bounds.

import AdminModel

/// A command that runs on events, as one file of handlers.d describes it.
package struct HandlerSpec: Hashable, Sendable {
    /// The file's name without `.toml`.
    package var name: String
    package var events: [EventPattern]
    /// Patterns of members' names; empty: every member, and events about none.
    package var members: [String] = []
    /// Tags that the member has.
    package var tags: [String: String] = [:]
    /// The program's path and its arguments.
    package var command: [String]
    /// After this the command and all that it started are ended.
    package var timeout = Duration.seconds(30)
    /// Runs at one time.
    package var concurrency = 1
    /// Events that wait; of more the oldest are dropped.
    package var queue = 1_000
    /// How long the first event of a run waits for others.
    package var batchWindow = Duration.milliseconds(500)
    /// Events of one run.
    package var batchMax = 100

    package init(name: String, events: [EventPattern], command: [String]) {
        self.name = name
        self.events = events
        self.command = command
    }

    /// - Parameter tags: those of the member that the event is about, or that sent it.
    func accepts(_ event: ClusterEvent, tags known: [String: String]) -> Bool {
        guard events.contains(where: { $0.fits(event) }) else { return false }
        guard !members.isEmpty || !tags.isEmpty else { return true }
        guard let member = event.member ?? event.sender else { return false }
        if !members.isEmpty, !members.contains(where: { NamePattern.fits(member.name, $0) }) { return false }
        return tags.allSatisfy { known[$0.key] == $0.value }
    }
}

/// `member_failed`, or `user_event:deploy`, or `user_event:deploy-*`.
package struct EventPattern: Hashable, Sendable {
    package var kind: String
    /// Of a user event; nil: any.
    package var name: String?

    package init(kind: String, name: String? = nil) {
        self.kind = kind
        self.name = name
    }

    func fits(_ event: ClusterEvent) -> Bool {
        event.event == kind && (name.map { NamePattern.fits(event.name ?? "", $0) } ?? true)
    }
}

/// A name, or the beginning of one with `*` behind it.
enum NamePattern {
    static func fits(_ name: String, _ pattern: String) -> Bool {
        guard pattern.utf8.last == UInt8(ascii: "*") else { return name == pattern }
        return name.utf8.starts(with: pattern.utf8.dropLast())
    }
}

/// What a run finds on its standard input, as JSON.
package struct HandlerInput: Codable, Hashable, Sendable {
    package var handler: String
    package var node: MemberIdentity
    package var cluster: String
    /// Events for this handler that were dropped since its last run.
    package var dropped: Int
    /// Oldest first, as `gossipctl events` shows them.
    package var events: [ClusterEvent]

    package init(handler: String, node: MemberIdentity, cluster: String, dropped: Int, events: [ClusterEvent]) {
        self.handler = handler
        self.node = node
        self.cluster = cluster
        self.dropped = dropped
        self.events = events
    }
}

/// What happened to a handler, for the journal.
package enum HandlerEvent: Hashable, Sendable {
    /// `reason` is a sentence; `output` the last lines that the command wrote.
    case failed(handler: String, reason: String, output: String)
    case timedOut(handler: String, reason: String, output: String)
    /// `count` events since this was told last.
    case overflow(handler: String, count: Int)
    case recovered(handler: String)
    case invalid(handler: String, reason: String)
    /// For debugging: a run that went well.
    case ran(handler: String, events: Int, took: Duration, output: String)
}
