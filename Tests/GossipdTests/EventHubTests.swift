// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what becomes of events inside the daemon: what is kept, told and logged.

import AdminModel
import AdminServer
import ClusterTypes
import Logging
import NodeKernel
import StoreCore
import Synchronization
import SystemdSupport
import Testing

@testable import gossipd

@Suite("Events in the daemon")
struct EventHubTests {
    private static let clock = Clock(now: .origin, wall: WallTime(milliseconds: 1_700_000_000_000))
    private static let author = ActorID(node: NodeID(high: 1, low: 2), epoch: 1)

    private func hub(_ log: CapturedLog) -> EventHub {
        EventHub(
            epoch: 7, storeID: "5e1f", revision: 0, selfID: Self.author.node, name: "web-1",
            address: Address(ipv4: 0x7f00_0001, port: 7946),
            logger: log.logger)
    }

    private func change(_ kind: Change.Kind, _ type: StoreCore.KeyType, number: UInt64) -> KernelEvent {
        let change = Change(
            key: "app/k", type: type, kind: kind,
            version: Version(stamp: HybridTimestamp(rawValue: number), author: Self.author))
        return .keysChanged([ChangeRecord(revision: number, appliedAt: Self.clock.wall, change: change)])
    }

    @Test("Watches keep 4 MiB of values and of elements, not 4 096 of whatever size")
    func watchMemory() {
        let bytes = [UInt8](repeating: 120, count: Bounds.elementBytesMax)
        for (kind, type) in [
            (Change.Kind.put(bytes), StoreCore.KeyType.register), (.add(bytes), .set), (.remove(bytes), .set),
        ] {
            let hub = hub(CapturedLog())
            for number in 1...2_000 as ClosedRange<UInt64> {
                hub.handle(change(kind, type, number: number), clock: Self.clock)
            }
            #expect((500...1_024).contains(hub.watches.held().count), "\(type)")
        }
    }

    @Test("A change of a key is for watches alone")
    func keyChange() {
        let log = CapturedLog()
        let hub = hub(log)
        hub.handle(change(.put([1]), .register, number: 1), clock: Self.clock)
        #expect(hub.watches.held().map(\.event) == ["put"])
        #expect(hub.events.held().isEmpty && log.events.isEmpty)
    }

    @Test("A stall is told to the journal and to those who follow events")
    func stall() {
        let log = CapturedLog()
        let hub = hub(log)
        hub.handle(.stalled, clock: Self.clock)
        #expect(hub.events.held().map(\.event) == ["loop_stalled"])
        #expect(log.events == ["loop_stalled"])
    }

    @Test("Denied requests are logged, but not each of many")
    func denials() {
        let log = CapturedLog()
        let denials = DenialLog(logger: log.logger)
        for user in 0..<100 { denials.note(AdminFailure(.denied, "user id \(user) may not")) }
        #expect(log.events == ["access_denied"])
    }
}

/// Keeps the kinds of the events that were logged.
final class CapturedLog: Sendable {
    private let kinds = Mutex<[String]>([])

    var events: [String] { kinds.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: CapturedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            guard let kind = event.metadata?[EventKind.metadataKey] else { return }
            log.kinds.withLock { $0.append("\(kind)") }
        }
    }
}
