// SPDX-License-Identifier: Apache-2.0
// Owns what handlers are wired to in the daemon: their events, their words in the journal, their start and end.

import AdminModel
import ClusterTypes
import DaemonConfig
import Handlers
import Logging
import SystemdSupport
import Transport

extension EventKind {
    /// What a handler can be for: what `gossipctl events` shows, but for what handlers do themselves.
    static var forHandlers: Set<String> {
        let others: [EventKind] = [
            .accessDenied, .started, .stopping, .stopped, .reloaded, .reloadFailed, .restartRequired,
            .configurationInvalid, .startFailed, .storageFailed, .logEntriesLost,
        ]
        return Set(
            allCases.filter {
                !others.contains($0) && !$0.rawValue.hasPrefix("helper_") && !$0.rawValue.hasPrefix("handler_")
            }.map(\.rawValue))
    }
}

extension Daemon {
    static func handlers(
        _ configuration: DaemonConfiguration, id: NodeID, address: Address, hub: EventHub, logger: Logger
    ) -> HandlerEngine {
        let directory = configuration.handlers.directory
        return HandlerEngine(
            HandlerParts(
                inbox: hub.handlers,
                node: MemberIdentity(
                    id: id.description, name: configuration.name, address: address.description),
                cluster: configuration.cluster, socket: configuration.admin.socket,
                list: { HandlerDirectory.read(directory, kinds: EventKind.forHandlers) },
                tell: { event in
                    guard case .ran(let name, let events, let took, let output) = event else {
                        if let told = HandlerNarrator.tell(event) { hub.tell(told, at: SystemClock.now()) }
                        return
                    }
                    let written = output.isEmpty ? "" : ": \(output)"
                    logger.debug("handler \(name) took \(took) for \(counted(events, "event"))\(written)")
                }))
    }

    /// Runs handlers until `stopHandlers`.
    func startHandlers() -> Task<Void, Never> { Task { [handlers] in await handlers.run() } }

    /// Runs that are under way are ended within a few seconds.
    func stopHandlers(_ running: Task<Void, Never>) async {
        let waiting = handlers.stop()
        if waiting > 0 { logger.notice("\(counted(waiting, "event")) for handlers will not be handled: stopping") }
        await running.value
    }
}

enum HandlerNarrator {
    /// Nil for what is no event.
    static func tell(_ event: HandlerEvent) -> Narration? {
        switch event {
        case .failed(let name, let reason, let output):
            return narration(.handlerFailed, name, "handler \(name) failed: \(reason)", reason, output)
        case .timedOut(let name, let reason, let output):
            return narration(.handlerTimedOut, name, "handler \(name): \(reason)", reason, output)
        case .overflow(let name, let count):
            var told = narration(
                .handlerOverflow, name,
                "handler \(name) does not keep up: \(counted(count, "event")) dropped, the oldest first")
            told.fields["count"] = "\(count)"
            told.evidence = Evidence(details: told.fields)
            return told
        case .recovered(let name):
            return narration(.handlerRecovered, name, "handler \(name) works again")
        case .invalid(let name, let reason):
            return narration(.handlerInvalid, name, "a handler cannot run: \(reason)", reason)
        case .ran:
            return nil
        }
    }

    private static func narration(
        _ kind: EventKind, _ name: String, _ message: String, _ reason: String? = nil, _ output: String = ""
    ) -> Narration {
        var told = Narration(kind: kind, message: message, reason: reason)
        told.fields["handler"] = name
        if !output.isEmpty {
            told.fields["output"] = output
            told.message += "; it wrote: \(output.split(separator: "\n").last ?? "")"
        }
        told.evidence = Evidence(details: told.fields)
        return told
    }
}
