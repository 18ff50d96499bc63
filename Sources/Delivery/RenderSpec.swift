// SPDX-License-Identifier: Apache-2.0
// Owns what one file of render.d says: what is rendered, where to, how it is checked and who is told.

import AdminModel

/// One file that keys become, as its `render.d/NAME.toml` describes it. `RenderDirectory` reads them.
package struct RenderSpec: Hashable, Sendable {
    /// What the destination is made of.
    package enum Source: Hashable, Sendable {
        /// A Mustache template: the path of its file.
        case templateFile(String)
        /// A Mustache template written in the file itself.
        case template(String)
        /// The bytes of one key, as they are.
        case key(ConfigurationKey)
    }

    /// What one name in a template stands for.
    package enum Input: Hashable, Sendable {
        /// A register's text or a counter's number. Without a default a missing key is an error.
        case key(ConfigurationKey, default: String?)
        /// A list of `{key, name, value, first, last}` in byte order of the keys; `name` is the key after the prefix.
        case prefix(KeyPrefix)
        /// A list of `{value, first, last}`, a set's elements in byte order. Without a default a missing set is an error.
        case set(ConfigurationKey, default: [String]?)
        /// A list of `{id, name, address, host, url_host, port, state, tags, first, last}` in order of name, then id;
        /// `url_host` has brackets around IPv6, `host` has none.
        case members(MemberFilter)
    }

    package enum Reload: Hashable, Sendable {
        /// `systemctl reload-or-restart UNIT`.
        case unit(String)
        case command([String])
    }

    /// The file's name without `.toml`.
    package var name: String
    package var source: Source
    package var inputs: [String: Input]
    /// An absolute path in an existing folder.
    package var destination: String
    /// Names or numbers; nil: of whoever writes the file.
    package var owner: String?
    package var group: String?
    package var mode: UInt16
    /// A program with arguments, of which `{file}` stands for the new file's path; it must exit with 0 before the file is
    /// put in place.
    package var check: [String]?
    package var checkTimeout: Duration
    package var reload: Reload?
    package var reloadTimeout: Duration
    /// A batch begins when nothing changed for this long,
    package var waitMin: Duration
    /// and at the latest so long after the first change.
    package var waitMax: Duration
    /// Whether a result of nothing but white space may replace the file.
    package var allowEmpty: Bool
    /// A result smaller than this many percent of the file it replaces is refused; 0: any is taken. 0 to 100.
    package var sizeMinPercent: Int

    package init(name: String, source: Source, destination: String) {
        self.name = name
        self.source = source
        self.destination = destination
        inputs = [:]
        mode = 0o644
        checkTimeout = .seconds(10)
        reloadTimeout = .seconds(60)
        waitMin = .milliseconds(200)
        waitMax = .seconds(5)
        allowEmpty = false
        sizeMinPercent = 25
    }
}
