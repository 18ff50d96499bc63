// SPDX-License-Identifier: Apache-2.0
// Owns waiting until enough nodes hold a write: the same on both sides of the socket.

/// Asks again and again who holds a write, until its goal is reached or the time is over.
package struct WriteWait: Sendable {
    package var goal: WaitGoal
    package var timeout: Duration
    /// Asked for at most this long at a time, so that the number of nodes is fresh.
    package static let roundMax = Duration.seconds(2)
    private static let pause = Duration.milliseconds(50)

    package init(goal: WaitGoal, timeout: Duration) {
        self.goal = goal
        self.timeout = timeout
    }

    /// The answer with the numbers of the moment when the goal was reached; `timed_out` when it was not. `ask` is a
    /// long poll; `progress` hears of each number that is not the goal.
    package func finish(
        _ result: WriteResult,
        ask: (_ atLeast: Int, _ timeout: Duration) async throws(AdminFailure) -> HoldersDocument,
        progress: ((HoldersDocument) -> Void)? = nil
    ) async throws(AdminFailure) -> WriteResult {
        let deadline = ContinuousClock.now + timeout
        var result = result
        var missing: [String] = []
        while result.nodesHolding < goal.required(of: result.nodesTotal) {
            if case .nodes(let count) = goal, count > result.nodesTotal {
                throw AdminFailure(
                    .unavailable,
                    "the write is durable on this node as version \(result.version) and will spread, but \(count) nodes "
                        + "cannot hold it: the cluster has \(result.nodesTotal)")
            }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw unreached(result, missing) }
            // Who shows progress wants each step.
            let required = goal.required(of: result.nodesTotal)
            let atLeast = progress == nil ? required : min(required, result.nodesHolding + 1)
            let asked = ContinuousClock.now
            let holders: HoldersDocument
            do throws(AdminFailure) {
                holders = try await ask(atLeast, min(left, Self.roundMax))
            } catch {
                throw AdminFailure(
                    error.code, "the write is durable on this node as version \(result.version), but: \(error.message)")
            }
            (result.nodesHolding, result.nodesTotal) = (holders.nodesHolding, holders.nodesTotal)
            missing = holders.missing
            progress?(holders)
            // An answer before its time and below the goal must not become a busy loop.
            if holders.nodesHolding < atLeast, asked.duration(to: .now) < Self.pause {
                try? await Task.sleep(for: Self.pause)
            }
        }
        return result
    }

    private func unreached(_ result: WriteResult, _ missing: [String]) -> AdminFailure {
        let waiting = missing.isEmpty ? "" : "; missing: \(missing.joined(separator: ", "))"
        let required = goal.required(of: result.nodesTotal)
        let wanted = goal == .nodes(required) ? "\(required)" : "\(goal) (\(required))"
        return AdminFailure(
            .timedOut,
            "the write is durable on this node as version \(result.version) and will spread, but after "
                + "\(timeout.seconds) s \(result.nodesHolding) of \(result.nodesTotal) nodes hold it, not \(wanted)\(waiting)"
        )
    }
}

extension Duration {
    /// Whole seconds, or with one digit after the point when there is a rest.
    fileprivate var seconds: String {
        let tenths = Int64(self / .milliseconds(100))
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
