// SPDX-License-Identifier: Apache-2.0
// Owns the keys that belong to gossipd itself: clients may read them, not write them, and see them only by name.

/// Keys below `.gossipd/`: the daemons write them, as the results of delivery.
package enum ReservedKeys {
    package static let prefix = ".gossipd/"
    /// A prefix of keys that begins so means these keys.
    private static let name = ".gossipd"

    package static func contains(_ key: String) -> Bool { key.utf8.starts(with: prefix.utf8) }

    static func areNamed(by prefix: KeyPrefix) -> Bool { prefix.description.utf8.starts(with: name.utf8) }
}

extension KeyPrefix {
    /// Whether a listing, an export, a watch or a difference of this prefix shows the key: reserved keys only when the
    /// prefix names them, so that an export and an import with `--prune` leave them alone.
    package func shows(_ key: String) -> Bool {
        matches(key) && (!ReservedKeys.contains(key) || ReservedKeys.areNamed(by: self))
    }
}

extension KeyWrite {
    /// Fails with `bad_request` for keys that clients may not write.
    package static func checkWritable(_ writes: some Sequence<KeyWrite>) throws(AdminFailure) {
        for write in writes where ReservedKeys.contains(write.key.description) {
            throw AdminFailure(
                .badRequest,
                "key \(write.key.description.quoted) belongs to gossipd, as all below \(ReservedKeys.prefix): choose another one"
            )
        }
    }
}
