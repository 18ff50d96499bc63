// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the backup's format.

import BackupFormat
import ClusterTypes
import StoreCore
import Testing

@Suite("Backup format")
struct BackupTests {
}
