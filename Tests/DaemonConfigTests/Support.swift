// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of the configuration share.

import ClusterTypes
import DaemonConfig
import Testing

/// The name that stands for this host in tests.
let testHostName = "test-host"

func parse(
    _ text: String, overrides: ConfigurationOverrides = .init(), hostName: String = testHostName
) throws(ConfigurationError) -> DaemonConfiguration {
    try DaemonConfiguration.parse(Array(text.utf8), file: "test.toml", overrides: overrides, hostName: hostName)
}

/// The lines of the error that `text` yields; empty when it is accepted.
func problems(
    _ text: String, overrides: ConfigurationOverrides = .init(), hostName: String = testHostName
) -> [String] {
    do throws(ConfigurationError) {
        _ = try parse(text, overrides: overrides, hostName: hostName)
        return []
    } catch {
        return error.problems.map(\.description)
    }
}

/// A file of the repository.
func repositoryFile(_ path: String) -> String {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return "/\(root)/\(path)"
}
