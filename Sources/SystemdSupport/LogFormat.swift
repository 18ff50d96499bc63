// SPDX-License-Identifier: Apache-2.0
// Owns the choice of the log's form.

import Glibc

/// How log lines are written.
package enum LogFormat: String, CaseIterable, Sendable {
    /// `journal` when standard error goes there, else `text`.
    case auto
    case journal
    case json
    case text

    /// Where systemd-journald listens (systemd-journald.service(8)).
    package static let journalSocket = "/run/systemd/journal/socket"

    /// The form to use; never `auto`.
    ///
    /// systemd sets JOURNAL_STREAM to `DEVICE:INODE` of the stream it gave us (systemd.exec(5)). A match with the
    /// descriptor means that nobody has redirected it since.
    package func resolved(descriptor: Int32 = STDERR_FILENO, environment: Environment = .process) -> LogFormat {
        guard self == .auto else { return self }
        guard let stream = environment["JOURNAL_STREAM"] else { return .text }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .text }
        return stream == "\(status.st_dev):\(status.st_ino)" ? .journal : .text
    }
}

/// The variables that systemd passes; a parameter, because a process has only one environment.
package struct Environment: Sendable {
    private let lookUp: @Sendable (String) -> String?

    package init(_ values: [String: String]) { lookUp = { values[$0] } }

    private init(lookUp: @escaping @Sendable (String) -> String?) { self.lookUp = lookUp }

    package static let process = Environment { name in getenv(name).map { String(cString: $0) } }

    /// Nil when unset or empty.
    package subscript(_ name: String) -> String? {
        lookUp(name).flatMap { $0.isEmpty ? nil : $0 }
    }
}
