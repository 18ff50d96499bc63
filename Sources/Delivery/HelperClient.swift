// SPDX-License-Identifier: Apache-2.0
// Owns asking the helper to write files, over its socket.

import Glibc

/// The applier for a node with a helper.
///
/// A helper that ends before it has answered is asked once more: it makes good what it had begun before it looks at the
/// request again, and what is in place already is `unchanged` then.
package final class HelperClient: FileApplier {
    /// Longer than any sane batch: checks and reloads have limits of their own.
    package static let timeoutDefault: Duration = .seconds(900)

    private let path: String
    private let timeout: Duration

    /// - Parameters:
    ///   - path: of the helper's socket.
    ///   - timeout: for one request, from connecting to its answer.
    package init(path: String, timeout: Duration = timeoutDefault) {
        self.path = path
        self.timeout = timeout
    }

    package func perform(_ request: ApplyRequest) async throws(DeliveryFailure) -> ApplyAnswer {
        try await BlockingThread.run { [self] () throws(DeliveryFailure) in
            let frame = try HelperFrame.encode(request)
            let deadline = ContinuousClock.now + timeout
            if let answer = try ask(frame, deadline) { return answer }
            if let answer = try ask(frame, deadline) { return answer }
            throw .helper("the helper gossipd-apply ends before it answers: journalctl -u gossipd-apply says why")
        }
    }

    /// Nil when the helper has ended without an answer.
    private func ask(
        _ frame: [UInt8], _ deadline: ContinuousClock.Instant
    ) throws(DeliveryFailure) -> ApplyAnswer? {
        let descriptor = try connect(deadline)
        defer { close(descriptor) }
        let reply: HelperReply
        do throws(HelperFrame.Failure) {
            do throws(HelperFrame.Failure) {
                try HelperFrame.write(frame, descriptor, until: deadline)
            } catch .closed {
                // It may have said why before it closed.
            }
            reply = try HelperFrame.decode(HelperReply.self, HelperFrame.read(descriptor, until: deadline))
        } catch {
            switch error {
            case .closed: return nil
            case .late:
                throw .helper(
                    "the helper gossipd-apply did not answer in \(SystemText.of(timeout)): journalctl -u gossipd-apply"
                        + " says what it waits for")
            case .malformed, .stopped:
                throw .helper(
                    "what answers at \(path) is not this version's gossipd-apply: restart gossipd-apply.socket")
            case .system(let code): throw .helper("talking to \(path) failed: \(SystemText.of(code))")
            }
        }
        if let answer = reply.answer { return answer }
        throw .helper("the helper gossipd-apply refuses: \(reply.error ?? "it does not say why")")
    }

    private func connect(_ deadline: ContinuousClock.Instant) throws(DeliveryFailure) -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .helper("no socket for the helper: \(SystemText.of(errno))") }
        // Connecting waits when too many are waiting already.
        let left = max(1, (deadline - .now).milliseconds)
        var limit = timeval(tv_sec: Int(left / 1000), tv_usec: Int(left % 1000) * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let code = UnixSocket.with(path) { Glibc.connect(descriptor, $0, $1) }
        if code == 0 { return descriptor }
        let reason = code == nil ? ENAMETOOLONG : errno
        close(descriptor)
        switch reason {
        case ENOENT, ECONNREFUSED, EAGAIN:
            throw .helper(
                "the helper gossipd-apply cannot be reached at \(path): is gossipd-apply.socket enabled?")
        case EACCES, EPERM:
            throw .helper(
                "the helper's socket \(path) does not admit this process: SocketUser= of gossipd-apply.socket must be"
                    + " the daemon's user")
        case _:
            throw .helper(
                "the helper gossipd-apply cannot be reached at \(path): \(SystemText.of(reason)); correct render.helper"
            )
        }
    }
}
