// SPDX-License-Identifier: Apache-2.0
// Owns what the descriptions of render.d say together.

import DaemonConfig
import Glibc

package enum RenderDirectory {
    /// Reads every `NAME.toml` in the folder `path`; each file fails alone. A folder that does not exist has no files.
    ///
    /// - Parameters:
    ///   - limits: where no destination may be; the folder `path` is none either.
    ///   - isRoot: whether the descriptions are carried out with root's rights.
    package static func read(
        _ path: String, within limits: DestinationLimits = .init(), isRoot: Bool = geteuid() == 0
    ) -> RenderListing {
        var specs: [RenderSpec] = []
        var limits = limits
        limits.folders.insert(path, at: 0)
        let problems = DescriptionFolder.read(path, filesMax: RenderBounds.filesMax, isRoot: isRoot) {
            name, file, bytes throws(ConfigurationError) in
            specs.append(try RenderDescription.parse(bytes, file: file, name: name, within: limits))
        }
        var listing = RenderListing(specs: specs, problems: problems)
        refuseShared(&listing, path: path)
        return listing
    }

    /// Two descriptions of one destination would undo each other's work for ever: both are refused.
    private static func refuseShared(_ listing: inout RenderListing, path: String) {
        var names: [String: [String]] = [:]
        for spec in listing.specs { names[spec.destination, default: []].append(spec.name) }
        let shared = names.filter { $0.value.count > 1 }
        guard !shared.isEmpty else { return }
        for spec in listing.specs {
            guard let others = shared[spec.destination]?.filter({ $0 != spec.name }) else { continue }
            let sentence =
                "\(path)/\(spec.name).toml: destination: \(spec.destination) is the destination of"
                + " \(others.map { $0 + ".toml" }.joined(separator: ", ")) too: keep one"
            listing.problems.append(RenderProblem(name: spec.name, sentence: sentence))
        }
        listing.specs.removeAll { shared[$0.destination] != nil }
        listing.problems = listing.problems.enumerated().sorted { a, b in
            let isEqual = a.element.name == b.element.name
            return isEqual ? a.offset < b.offset : a.element.name.utf8.lexicographicallyPrecedes(b.element.name.utf8)
        }.map(\.element)
    }
}
