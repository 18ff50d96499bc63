// SPDX-License-Identifier: Apache-2.0
// Owns writing files in this process, off the threads of its tasks.

import Synchronization

/// The applier for a node without a helper. Requests are done one after the other.
package final class LocalApplier: FileApplier {
    private let applier: Applier
    private let isResumed = Mutex(false)

    package init(_ applier: Applier) { self.applier = applier }

    package func perform(_ request: ApplyRequest) async throws(DeliveryFailure) -> ApplyAnswer {
        try await BlockingThread.run { [self] () throws(DeliveryFailure) in
            // A thread may wait here as long as a batch lasts: it is none of the tasks'.
            isResumed.withLock { isResumed in
                var reloads: [ApplyAnswer.Reload] = []
                if !isResumed, request.operation == .apply {
                    reloads = applier.resume().reloads
                    isResumed = true
                }
                var answer = applier.perform(request)
                answer.reloads = reloads + answer.reloads
                return answer
            }
        }
    }
}
