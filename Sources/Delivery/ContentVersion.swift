// SPDX-License-Identifier: Apache-2.0
// Owns the version of a file's content: equal contents have equal versions on every host.

import ClusterTypes

package enum ContentVersion {
    /// The stable hash of the bytes, 32 hexadecimal digits.
    package static func of(_ content: [UInt8]) -> String {
        var hasher = StableHasher()
        hasher.absorb(counted: content)
        return hasher.finalize().description
    }
}
