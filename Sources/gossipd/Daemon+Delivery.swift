// SPDX-License-Identifier: Apache-2.0
// Owns what delivery is wired to in the daemon: the kernel, the clocks, the events, its start and its end.

import AdminModel
import ClusterTypes
import DaemonConfig
import Delivery
import NodeKernel
import StoreCore
import SystemdSupport
import Transport

extension Daemon {
    /// The longest wait for other nodes before files are rendered from what this one knows.
    private static let readyMax = Duration.seconds(10)
    /// From the first word of another node until its news is here, about.
    private static let newsDelay = Duration.seconds(1)
    /// The longest wait for a batch that is under way when the daemon stops. Being cut off does no harm: what is left to
    /// do is on disk.
    private static let stopMax = Duration.seconds(5)

    /// `knowsOthers`: there are nodes to join or to come back to.
    static func delivery(
        _ configuration: DaemonConfiguration, nodeID: NodeID, hub: EventHub, knowsOthers: Bool,
        perform: @escaping @Sendable (Command) async -> Reply
    ) -> DeliveryEngine {
        let render = configuration.render
        let fleet = KernelFleet(perform: perform, hub: hub)
        let renderer = Renderer()
        let startedAt = ContinuousClock.now
        var parts = DeliveryParts(
            directory: render.directory, interval: .nanoseconds(render.interval.nanoseconds), fleet: fleet,
            applier: applier(configuration),
            list: { RenderDirectory.read(render.directory, within: configuration.destinationLimits) },
            render: { spec, contents async throws(DeliveryFailure) in try await renderer.render(spec, contents) },
            now: { startedAt.duration(to: .now) }, wall: { Timestamp(SystemClock.now().wall) })
        parts.tell = { hub.tell(DeliveryNarrator.tell($0), at: SystemClock.now()) }
        let key = RenderReport.prefix + nodeID.description
        parts.formerReport = {
            guard case .key(let view, _) = await perform(.read(key: key)), case .register(let bytes) = view.content
            else { return nil }
            return try? AdminJSON.decode(RenderReport.self, from: bytes)
        }
        parts.publish = { await publish($0, key: key, perform) }
        if knowsOthers { parts.ready = { await waitForOthers(perform) } }
        return DeliveryEngine(parts, nodeID: nodeID.description)
    }

    private static func applier(_ configuration: DaemonConfiguration) -> any FileApplier {
        let render = configuration.render
        guard render.helper.isEmpty else { return HelperClient(path: render.helper) }
        return LocalApplier(
            Applier(Applier.Settings(stateFolder: configuration.dataDirectory + "/render")) {
                RenderDirectory.read(render.directory, within: configuration.destinationLimits)
            })
    }

    private static func publish(
        _ report: RenderReport?, key: String, _ perform: @Sendable (Command) async -> Reply
    ) async -> Bool {
        let write: StoreWrite
        if let report {
            guard let bytes = try? AdminJSON.encode(report), bytes.count <= Bounds.valueBytesMax else { return false }
            write = .put(key: key, value: bytes)
        } else {
            write = .delete(key: key)
        }
        switch await perform(.write([write], WriteOptions(reason: "what delivery has done on this host"))) {
        case .written, .failure(.noSuchKey): return true
        default: return false
        }
    }

    /// A node that has just started knows nobody and may have missed changes: files made of that would be wrong.
    private static func waitForOthers(_ perform: @Sendable (Command) async -> Reply) async {
        let end = ContinuousClock.now + readyMax
        while ContinuousClock.now < end {
            if case .status(let status) = await perform(.status), status.alive > 1 { break }
            guard (try? await Task.sleep(for: .milliseconds(100))) != nil else { return }
        }
        try? await Task.sleep(for: newsDelay)
        while ContinuousClock.now < end {
            guard case .diagnosis(let store) = await perform(.diagnose), store.catchUp != nil || store.isResetting
            else { return }
            guard (try? await Task.sleep(for: .milliseconds(100))) != nil else { return }
        }
    }

    func filesInTrouble() async -> Int { await delivery.status().files.count { $0.state.isTrouble } }

    /// Delivers until `stopDelivery`.
    func startDelivery() -> DeliveryTask {
        let (done, end) = AsyncStream<Void>.makeStream()
        let task = Task { [delivery] in
            await delivery.run()
            end.finish()
        }
        return DeliveryTask(task: task, done: done)
    }

    /// Lets the batch under way come to its end, for a while.
    func stopDelivery(_ running: DeliveryTask) async {
        await delivery.stop()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in running.done {} }
            group.addTask { try? await Task.sleep(for: Self.stopMax) }
            await group.next()
            group.cancelAll()
        }
        running.task.cancel()
    }
}

extension DaemonConfiguration {
    /// Where no destination may be, for whoever writes the files.
    var destinationLimits: DestinationLimits {
        DestinationLimits(folders: [dataDirectory], isConfined: render.helper == DestinationLimits.unitSocket)
    }
}

/// The engine at work.
struct DeliveryTask: Sendable {
    let task: Task<Void, Never>
    /// Ends with it.
    let done: AsyncStream<Void>
}
