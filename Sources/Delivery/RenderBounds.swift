// SPDX-License-Identifier: Apache-2.0
// Owns the bounds of what one host renders.

/// Sizes in bytes. `gossipd-render` and the reader of render.d hold to them.
package enum RenderBounds {
    /// Descriptions in render.d.
    package static let filesMax = 256
    /// Entries of the folder that are looked at.
    static let entriesMax = 16_384
    /// One description.
    package static let descriptionBytesMax = 1 << 20
    /// One template.
    package static let templateBytesMax = 1 << 20
    /// Names that one template may use.
    package static let namesMax = 256
    /// A name that a template may use.
    package static let nameBytesMax = 64
    /// Words of one command.
    package static let wordsMax = 64
    /// One word of a command.
    package static let wordBytesMax = 4_096
    /// A unit's name (systemd.unit(5)).
    package static let unitBytesMax = 255
    /// Elements of a set's default.
    package static let elementsMax = 1_024
    /// A template with its data, as JSON.
    package static let jobBytesMax = 32 << 20
    /// What a template may become.
    package static let textBytesMax = 4 << 20
    /// The same as JSON, where one byte can take six.
    package static let outcomeBytesMax = 6 * textBytesMax + 1_024
    /// `check_timeout` and `reload_timeout`, in milliseconds.
    package static let timeoutMilliseconds = 100...600_000
    /// `wait_min` and `wait_max`, in milliseconds.
    package static let waitMilliseconds = 0...600_000
}
