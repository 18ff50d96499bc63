// SPDX-License-Identifier: Apache-2.0
// Owns how the node takes calls about keys that come in bunches, and the plain way of carrying them out.

import AdminModel

/// Takes the calls of one client. They are under way at the same time; each is answered once, in bounded time.
package protocol KeyCalls: Sendable {
    /// Returns at once.
    func begin(_ calls: [KeyCall])
}

/// Carries out each call as if it had come as a request of its own.
package struct PlainKeyCalls: KeyCalls {
    private let node: any NodeHandle
    private let user: @Sendable () -> String
    private let answered: @Sendable ([(id: UInt64, KeyCallResult)]) -> Void

    package init(
        node: any NodeHandle, user: @escaping @Sendable () -> String,
        answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    ) {
        self.node = node
        self.user = user
        self.answered = answered
    }

    package func begin(_ calls: [KeyCall]) {
        for call in calls {
            Task { answered([(call.id, await result(of: call))]) }
        }
    }

    private func result(of call: KeyCall) async -> KeyCallResult {
        do throws(AdminFailure) {
            switch call.action {
            case .write(let write, var options):
                options.user = user()
                try KeyWrite.checkWritable([write])
                return .written(try await node.write([write], options))
            case .get(let key, let options): return .found(try await node.get(key, options))
            }
        } catch {
            return .failed(error)
        }
    }
}

extension NodeHandle {
    package func calls(
        user: @escaping @Sendable () -> String,
        answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    ) -> any KeyCalls {
        PlainKeyCalls(node: self, user: user, answered: answered)
    }
}
