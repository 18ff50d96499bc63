// SPDX-License-Identifier: Apache-2.0
// Owns what `doctor` learns of the store.

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    var diagnosis: StoreDiagnosis {
        var diagnosis = StoreDiagnosis()
        diagnosis.storage = storage
        diagnosis.writesWaiting = pendingWrites.count
        diagnosis.clockOffsetMilliseconds = clocks.offset
        diagnosis.isClockOutlier = clocks.outlierOffset != nil
        diagnosis.floor = store.floor
        diagnosis.collectionWaitsFor = collectionWaitsFor
        diagnosis.deadRows = store.deadCount
        diagnosis.isResetting = reset.isUnderWay
        diagnosis.queuedWrites = reset.queuedCount
        diagnosis.revision = revision
        return diagnosis
    }
}
