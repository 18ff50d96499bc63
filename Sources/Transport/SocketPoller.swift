// SPDX-License-Identifier: Apache-2.0
// Owns the thread that waits until a UDP socket has something: datagrams, or errors of earlier ones.

import CSocketErrors
import ClusterTypes
import Glibc
import NIOCore
import Synchronization

/// Tells an event loop that a socket is ready, once, and again after each `rearm`. Everything else happens on that loop.
///
/// SwiftNIO cannot wait for a socket whose errors are queued: its datagram channel takes EPOLLERR for a reset, then reads until
/// it finds an error, and ends the process with a precondition when there is none, since the error waits in the queue and not
/// at the socket. A network that is down for three seconds (EHOSTUNREACH by ARP) is enough.
final class SocketPoller: Sendable {
    private let socket: CInt
    private let address: Address
    private let wake: CInt
    private let loop: any EventLoop
    private let ready: @Sendable () -> Void
    private let isStopping = Atomic(false)
    private let thread = Mutex<pthread_t?>(nil)

    /// `ready` is called on the loop. The socket must stay open until `stop` has returned.
    init(_ socket: CInt, at address: Address, loop: any EventLoop, ready: @escaping @Sendable () -> Void)
        throws(TransportFailure)
    {
        self.socket = socket
        self.address = address
        self.loop = loop
        self.ready = ready
        wake = gossipd_wake_make()
        guard wake >= 0 else { throw .system(operation: "eventfd", address, errno: errno) }
    }

    /// To be called once.
    func start() throws(TransportFailure) {
        var handle = pthread_t()
        let argument = Unmanaged.passRetained(self)
        // Signals are for the threads that expect them.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                gossipd_name_thread("gossipd-udp")
                Unmanaged<SocketPoller>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard code == 0 else {
            argument.release()
            throw .system(operation: "pthread_create", address, errno: code)
        }
        thread.withLock { $0 = handle }
    }

    /// What was ready has been taken: wait for more.
    func rearm() { gossipd_wake_signal(wake) }

    /// Returns when the thread has ended, which takes it no longer than waking up. A second call does nothing.
    func stop() {
        let handle = thread.withLock { handle in
            defer { handle = nil }
            return handle
        }
        guard let handle else { return }
        isStopping.store(true, ordering: .releasing)
        gossipd_wake_signal(wake)
        pthread_join(handle, nil)
    }

    deinit { close(wake) }

    private func run() {
        var isArmed = true
        while !isStopping.load(ordering: .acquiring) {
            // A negative descriptor is passed over.
            var waiting = [
                pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isArmed ? socket : -1, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&waiting, nfds_t(waiting.count), -1) > 0 else { continue }
            if waiting[0].revents != 0 {
                gossipd_wake_clear(wake)
                isArmed = true
            }
            if waiting[1].revents != 0 {
                isArmed = false
                loop.execute(ready)
            }
        }
    }
}
