// SPDX-License-Identifier: Apache-2.0
// Owns the version of this software, as `--version`, `status` and the API description print it.

/// The release this source builds: semantic versioning, no leading `v`.
package enum AdminVersion {
    package static let current = "0.1.0"
}
