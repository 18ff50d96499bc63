// SPDX-License-Identifier: Apache-2.0
// Owns writing files in this process, off the threads of its tasks.

/// The applier for a node without a helper.
package final class LocalApplier: FileApplier {
    private let applier: Applier

    package init(_ applier: Applier) { self.applier = applier }

    package func perform(_ request: ApplyRequest) async throws(DeliveryFailure) -> ApplyAnswer {
        // A thread may wait there as long as a batch lasts: it is none of the tasks'.
        try await BlockingThread.run { [applier] () throws(DeliveryFailure) in applier.perform(request) }
    }
}
