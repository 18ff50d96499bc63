// SPDX-License-Identifier: Apache-2.0
// Owns the version of this software, as `--version`, `status` and the API description print it.

/// The release this source builds: semantic versioning, no leading `v`. Tests hold the package's changelog, the manual pages
/// and the API description to it, and `make deb` builds no other version.
package enum AdminVersion {
    package static let current = "0.2.0"
}
