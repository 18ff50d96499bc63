// SPDX-License-Identifier: Apache-2.0
// Owns the running node as the daemon sees it: start, commands, stop, counters, progress.

import ClusterTypes
import NIOCore
import NIOPosix
import NodeKernel
import Sealing
import StrictGroup
import Synchronization

/// One node on the real network: a kernel on one event loop with its sockets, timers and storage.
package final class KernelDriver: Sendable {
    /// Where the sockets are bound.
    package let address: Address

    private let loop: any EventLoop
    private let sockets: NodeSockets
    private let core: NIOLoopBoundBox<DriverCore?>
    private let counterBox = CounterBox()
    private let progressBox = DriverProgress()

    /// Nothing happens before `start`. The loop must outlive the driver's `stop`.
    package init(
        kernel: NodeKernel, sockets: NodeSockets, configuration: TransportConfiguration, host: any KernelHost,
        loop: any EventLoop
    ) {
        address = sockets.address
        self.loop = loop
        self.sockets = sockets
        let core = NIOLoopBoundBox<DriverCore?>.makeEmptyBox(valueType: DriverCore.self, eventLoop: loop)
        self.core = core
        let (address, counters, progress) = (address, counterBox, progressBox)
        // Queued before anything that `start`, `perform` or `stop` queue.
        loop.execute {
            core.value = DriverCore(
                kernel: kernel, address: address, configuration: configuration, host: host, loop: loop,
                counters: counters, progress: progress)
        }
        host.watchStorage { condition in
            loop.execute { core.value?.feed(.storage(condition)) }
        }
    }

    /// Registers the sockets and hands the kernel its first input. To be called once.
    package func start() async throws {
        guard let (stream, datagram) = sockets.take() else { throw TransportFailure.alreadyStarted }
        let core = core
        try await loop.flatSubmit { [loop] in
            core.value?.start(stream: stream, datagram: datagram) ?? loop.makeSucceededVoidFuture()
        }.get()
    }

    /// Has the kernel carry out a command. After `stop`, and when too many wait, the reply is a failure at once.
    package func perform(_ command: Command) async -> Reply {
        let core = core
        return await withCheckedContinuation { continuation in
            loop.execute {
                guard let core = core.value else { return continuation.resume(returning: .failure(.notReady)) }
                core.perform(command) { continuation.resume(returning: $0) }
            }
        }
    }

    /// Has the kernel carry out calls of the strict group that came together.
    package func perform(_ calls: [(tag: UInt64, call: StrictCall)], within: Interval, to sink: CallSink) {
        let core = core
        loop.execute {
            guard let core = core.value else {
                for call in calls { _ = sink.add(call.tag, .failure(.notReady)) }
                return sink.flush()
            }
            core.perform(calls, within: within, sink)
        }
    }

    /// Seals and opens with these keys from now on; connections that were opened under
    /// others end.
    package func seal(with settings: SealSettings) {
        let core = core
        loop.execute { core.value?.seal(with: settings) }
    }

    /// Takes plain packets beside sealed ones, or no longer.
    package func acceptPlain(_ acceptsPlain: Bool) {
        let core = core
        loop.execute {
            guard let seal = core.value?.seal else { return }
            seal.update(SealSettings(keys: seal.settings.keys, acceptsPlain: acceptsPlain))
        }
    }

    /// The key that each address has used last by its own choice, since this process began.
    package func keysOfPeers() async -> [Address: KeyID] {
        let core = core
        return (try? await loop.submit { core.value?.seal.keysOfPeers ?? [:] }.get()) ?? [:]
    }

    /// Closes every socket and answers waiting commands with `notReady`. It does not leave the cluster: perform
    /// `Command.leave` before. A second call does nothing.
    package func stop() async {
        let core = core
        let stopped = loop.flatSubmit { [loop] in core.value?.stop() ?? loop.makeSucceededVoidFuture() }
        // Closing does not fail; if the loop is gone there is nothing left to close.
        _ = try? await stopped.get()
    }

    /// The totals up to now, from any thread.
    package var counters: TransportCounters { counterBox.snapshot }

    /// For the watchdog and the health of the loop, from any thread.
    package var progress: DriverProgress { progressBox }

    /// For tests: runs `body` with the core on the loop.
    func withCore<Result: Sendable>(_ body: @escaping @Sendable (DriverCore) -> Result) async throws -> Result? {
        let core = core
        return try await loop.submit { core.value.map { body($0) } }.get()
    }
}

/// Tells whether the kernel gets its turns. The protocol sets a timer for each period, so a kernel that makes no turn
/// for several periods is stuck or starved, whatever other threads do.
package final class DriverProgress: Sendable {
    private let turnCount = Atomic<UInt64>(0)
    private let lagNanoseconds = Atomic<Int64>(0)

    /// Timers that the kernel has been given; grows while the node is well.
    package var timerTurns: UInt64 { turnCount.load(ordering: .relaxed) }

    /// How late the last timer fired.
    package var loopLag: Interval { Interval(nanoseconds: lagNanoseconds.load(ordering: .relaxed)) }

    func turned(lag: Interval) {
        lagNanoseconds.store(lag.nanoseconds, ordering: .relaxed)
        turnCount.wrappingAdd(1, ordering: .relaxed)
    }
}
