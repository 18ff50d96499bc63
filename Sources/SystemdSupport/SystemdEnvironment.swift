// SPDX-License-Identifier: Apache-2.0
// Owns what systemd hands to the daemon when it starts: the watchdog's interval and sockets.

import Glibc

/// The parts of the start protocol that come in environment variables.
package enum Systemd {
    /// Microseconds in which the watchdog wants to hear from this process, as sd_watchdog_enabled(3) tells; send at
    /// half of it. Nil without a watchdog, or when it is meant for another process.
    package static func watchdogInterval(environment: Environment = .process, process: Int32 = getpid()) -> UInt64? {
        guard let text = environment["WATCHDOG_USEC"], let interval = UInt64(text), interval > 0, interval < .max else {
            return nil
        }
        if let owner = environment["WATCHDOG_PID"], Int32(owner) != process { return nil }
        return interval
    }

    /// A socket that systemd has opened.
    package struct ListenSocket: Equatable, Sendable {
        package var descriptor: Int32
        /// FileDescriptorName= of the socket unit; `unknown` when there is none.
        package var name: String

        package init(descriptor: Int32, name: String) {
            self.descriptor = descriptor
            self.name = name
        }
    }

    /// The first descriptor that systemd passes (SD_LISTEN_FDS_START).
    package static let listenDescriptorMin: Int32 = 3
    /// More are not taken; the daemon has use for one.
    package static let listenSocketsMax = 16

    /// The sockets that systemd passes (sd_listen_fds_with_names(3)); sets close-on-exec on each.
    ///
    /// Call it once, before any other descriptor is opened. Descriptors that are not open are left out.
    package static func listenSockets(
        environment: Environment = .process, process: Int32 = getpid(), firstDescriptor: Int32 = listenDescriptorMin
    ) -> [ListenSocket] {
        guard let owner = environment["LISTEN_PID"], Int32(owner) == process,
            let text = environment["LISTEN_FDS"], let count = Int32(text), count > 0
        else { return [] }
        let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
        var sockets: [ListenSocket] = []
        for index in 0..<min(Int(count), listenSocketsMax) {
            let descriptor = firstDescriptor + Int32(index)
            let flags = fcntl(descriptor, F_GETFD)
            guard flags >= 0, fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) == 0 else { continue }
            let name = index < names.count && !names[index].isEmpty ? String(names[index]) : "unknown"
            sockets.append(ListenSocket(descriptor: descriptor, name: name))
        }
        return sockets
    }
}
