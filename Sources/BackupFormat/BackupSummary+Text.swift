// SPDX-License-Identifier: Apache-2.0
// Owns a backup's summary in plain types, for programs that know nothing of the cores.

import ClusterTypes

extension BackupSummary {
    /// Since 1970.
    package var createdAtMilliseconds: Int64 { Int64(clamping: header.createdAt.milliseconds) }

    /// 32 hexadecimal digits, as `status` shows it.
    package var rootText: String { root.description }
}
