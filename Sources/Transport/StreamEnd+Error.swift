// SPDX-License-Identifier: Apache-2.0
// Owns what an error of a connection means to the kernel.

import Glibc
import NIOCore
import NodeKernel

extension StreamEnd {
    /// Errors of this host (no descriptor, no buffer, a firewall of its own) are `localLimit`: they do not speak
    /// against the peer.
    init(errno code: CInt) {
        self =
            switch code {
            case ECONNREFUSED: .refused
            case ETIMEDOUT: .timedOut
            case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, ENONET, EAFNOSUPPORT, EINVAL: .unreachable
            case EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN, EADDRNOTAVAIL, EADDRINUSE, EPERM, EACCES: .localLimit
            case _: .reset
            }
    }

    init(_ error: any Error) {
        if let error = error as? IOError {
            self.init(errno: error.errnoCode)
        } else if case .connectTimeout? = error as? ChannelError {
            self = .timedOut
        } else {
            self = .reset
        }
    }
}
