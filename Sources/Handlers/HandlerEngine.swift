// SPDX-License-Identifier: Apache-2.0
// Owns running handlers: when a batch is due it runs the command off everybody's way, and says what came of it.

import AdminModel
import ClusterTypes
import DaemonConfig
import Delivery
import Glibc

/// What the engine is wired to.
package struct HandlerParts: Sendable {
    package var inbox: HandlerInbox
    package var list: @Sendable () -> HandlerListing
    package var node: MemberIdentity
    package var cluster: String
    /// Where `gossipctl` finds this node.
    package var socket: String
    package var tell: @Sendable (HandlerEvent) -> Void

    package init(
        inbox: HandlerInbox, node: MemberIdentity, cluster: String, socket: String,
        list: @escaping @Sendable () -> HandlerListing, tell: @escaping @Sendable (HandlerEvent) -> Void
    ) {
        self.inbox = inbox
        self.list = list
        self.node = node
        self.cluster = cluster
        self.socket = socket
        self.tell = tell
    }
}

/// Runs until `stop`. Each run has a thread of its own, which waits for the command (`BlockingThread`).
package actor HandlerEngine {
    /// Bytes of each of the command's two outputs that are kept, and lines of them that are told.
    static let outputBytesMax = 4_096
    static let outputLinesMax = 10
    /// How long a stop lets runs go on before they are ended.
    static let stopGrace = Duration.seconds(2)
    private static let pathDefault = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    private let parts: HandlerParts
    private let stopSignal = StopSignal()
    /// When sleepers will wake the engine.
    private var alarms: Set<ContinuousClock.Instant> = []

    package init(_ parts: HandlerParts) { self.parts = parts }

    package nonisolated func status() -> [HandlerStatus] { parts.inbox.status() }

    /// Reads the descriptions again; those with a problem do not run, and are told.
    package func reload() {
        let listing = parts.list()
        for problem in listing.problems {
            parts.tell(.invalid(handler: problem.name, reason: problem.sentence))
        }
        parts.inbox.replace(listing.specs)
    }

    /// Runs what is due until `stop`, and returns when no run is left.
    package func run() async {
        reload()
        await withDiscardingTaskGroup { group in
            for await _ in parts.inbox.changes {
                let due = parts.inbox.take(now: .now)
                for overflow in due.overflows {
                    parts.tell(.overflow(handler: overflow.name, count: overflow.count))
                }
                for job in due.jobs {
                    group.addTask {
                        await self.perform(job)
                        self.parts.inbox.wake()
                    }
                }
                guard let next = due.next, alarms.insert(next).inserted else { continue }
                group.addTask {
                    try? await Task.sleep(until: next, clock: .continuous)
                    await self.wake(next)
                }
            }
            // Alarms are of no use any more; runs do not look at it.
            group.cancelAll()
            await endRuns()
        }
    }

    private func wake(_ alarm: ContinuousClock.Instant) {
        alarms.remove(alarm)
        parts.inbox.wake()
    }

    /// Takes nothing more; runs that are under way have `stopGrace` before they are ended. `run` returns then. Returns how
    /// many events nobody will handle.
    package nonisolated func stop() -> Int { parts.inbox.close() }

    private func endRuns() async {
        let end = ContinuousClock.now + Self.stopGrace
        while parts.inbox.status().contains(where: { $0.running > 0 }), ContinuousClock.now < end {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { break }
        }
        stopSignal.give()
    }

    private nonisolated func perform(_ job: HandlerInbox.Job) async {
        let spec = job.spec
        let startedAt = ContinuousClock.now
        let input = HandlerInput(
            handler: spec.name, node: parts.node, cluster: parts.cluster, dropped: job.dropped, events: job.events)
        let environment = environment(job)
        let stopSignal = stopSignal
        let ending: CommandEnding
        do throws(DeliveryFailure) {
            guard let bytes = try? AdminJSON.encode(input) else {
                throw .command("its events cannot be written as JSON")
            }
            ending = try await BlockingThread.run { () throws(DeliveryFailure) in
                try CommandRunner.attempt(
                    spec.command, input: bytes, timeout: spec.timeout, output: .last(Self.outputBytesMax),
                    environment: environment, stop: stopSignal.descriptor)
            }
        } catch {
            finish(spec.name, { $0.failed += 1 }, .failed(handler: spec.name, reason: error.sentence, output: ""))
            return
        }
        let program = spec.command[0]
        let output = Self.lastLines(ending.output, ending.errorText)
        switch ending.cause {
        case .ended(0):
            let took = startedAt.duration(to: .now)
            finish(spec.name, { _ in }, .ran(handler: spec.name, events: job.events.count, took: took, output: output))
        case .ended(let status):
            let reason = "\(program) ended with status \(status)"
            finish(spec.name, { $0.failed += 1 }, .failed(handler: spec.name, reason: reason, output: output))
        case .late:
            let limit = DurationText.format(.milliseconds(Int(spec.timeout / .milliseconds(1))))
            let reason = "\(program) took longer than \(limit) and was ended"
            finish(
                spec.name, { $0.timedOut += 1 }, .timedOut(handler: spec.name, reason: reason, output: output))
        case .stopped, .tooMuch:
            let reason = "\(program) was ended because the daemon stops"
            finish(spec.name, { $0.failed += 1 }, .failed(handler: spec.name, reason: reason, output: output))
        }
    }

    private nonisolated func finish(
        _ name: String, _ count: (inout HandlerInbox.Counters) -> Void, _ event: HandlerEvent
    ) {
        let isFailure = if case .ran = event { false } else { true }
        let wasFailing = parts.inbox.ended(
            name,
            { counters in
                counters.runs += 1
                count(&counters)
            }, isFailure: isFailure)
        parts.tell(event)
        if wasFailing, !isFailure { parts.tell(.recovered(handler: name)) }
    }

    /// Nothing of the daemon's own environment, which holds its sockets and secrets, but where programs and words are.
    private nonisolated func environment(_ job: HandlerInbox.Job) -> [String] {
        var kinds: [String] = []
        for event in job.events where !kinds.contains(event.event) { kinds.append(event.event) }
        var environment = [
            "GOSSIPD_EVENT=\(kinds.joined(separator: " "))", "GOSSIPD_EVENTS=\(job.events.count)",
            "GOSSIPD_HANDLER=\(job.spec.name)", "GOSSIPD_NODE=\(parts.node.name)",
            "GOSSIPD_NODE_ID=\(parts.node.id)", "GOSSIPD_CLUSTER=\(parts.cluster)", "GOSSIPD_SOCKET=\(parts.socket)",
        ]
        for (name, fallback) in [("PATH", Self.pathDefault), ("LANG", "C.UTF-8"), ("TZ", nil), ("TMPDIR", nil)] {
            if let value = getenv(name).map({ String(cString: $0) }) ?? fallback {
                environment.append("\(name)=\(value)")
            }
        }
        return environment
    }

    /// The last lines of what the command wrote: of its errors, or when there are none of its output.
    static func lastLines(_ output: [UInt8], _ errors: String) -> String {
        let text = errors.isEmpty ? String(decoding: output, as: UTF8.self) : errors
        let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
        return lines.suffix(outputLinesMax).joined(separator: "\n")
    }
}

/// Tells threads that wait for commands to end them: a pipe whose other end is closed.
private final class StopSignal: Sendable {
    /// Readable once it was given; -1 when there was no descriptor to be had, and runs end at their timeouts.
    let descriptor: CInt
    private let sender: CInt

    init() {
        var ends: [CInt] = [-1, -1]
        if pipe(&ends) == 0 {
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        }
        (descriptor, sender) = (ends[0], ends[1])
    }

    func give() {
        var byte: UInt8 = 0
        if sender >= 0 { _ = write(sender, &byte, 1) }
    }

    deinit {
        for end in [descriptor, sender] where end >= 0 { close(end) }
    }
}
