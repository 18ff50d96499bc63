// SPDX-License-Identifier: Apache-2.0
// Owns the ways in which the sockets cannot be had, and the sentence that tells the operator what to do.

import ClusterTypes
import Glibc

/// Why the node's sockets could not be opened. Nothing is left open.
package enum TransportFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// Temporary: the daemon exits 75.
    case addressInUse(Address, isUDP: Bool)
    case addressNotAvailable(Address)
    case permissionDenied(Address)
    case system(operation: String, Address, errno: CInt)
    /// The sockets were already given to a driver.
    case alreadyStarted

    package var description: String {
        switch self {
        case .addressInUse(let address, let isUDP):
            "\(address) is in use by another program (\(isUDP ? "udp" : "tcp")): stop it or choose another port with"
                + " --bind"
        case .addressNotAvailable(let address):
            "\(address) is not an address of this host: choose one with --bind and tell peers another one with"
                + " --advertise"
        case .permissionDenied(let address):
            "this user may not bind \(address): choose a port above 1023 with --bind"
        case .system(let operation, let address, let code):
            "\(operation) failed for \(address): \(SystemError.text(of: code))"
        case .alreadyStarted:
            "the driver has already been started"
        }
    }

    init(operation: String, _ address: Address, isUDP: Bool, errno code: CInt) {
        self =
            switch code {
            case EADDRINUSE: .addressInUse(address, isUDP: isUDP)
            case EADDRNOTAVAIL: .addressNotAvailable(address)
            case EACCES, EPERM: .permissionDenied(address)
            case _: .system(operation: operation, address, errno: code)
            }
    }
}

enum SystemError {
    static func text(of code: CInt) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count) == 0 else {
                return "error \(code)"
            }
            return String(cString: base)
        }
    }
}
