// SPDX-License-Identifier: Apache-2.0
// Owns what the helper says in the journal: one line for each file and each reload.

import Delivery
import Logging
import Synchronization
import SystemdSupport

/// The helper's log. Safe from any thread.
struct HelperLog: Sendable {
    private let log: DaemonLog
    private let logger: Logger
    /// Problems of descriptions that were said already: they are read for each request.
    private let said = SaidProblems()

    init(label: String) {
        log = DaemonLog(format: .auto, level: .info, identifier: label)
        logger = log.logger(label: label)
    }

    func flush() { log.flush() }

    func failed(_ sentence: String) { write(HelperLine(.helperEnded, sentence, ["reason": sentence])) }

    func notice(_ notice: HelperNotice) { write(HelperLine(notice)) }

    func problems(_ problems: [RenderProblem]) {
        for problem in said.new(problems) { write(HelperLine(problem)) }
    }

    private func write(_ line: HelperLine) {
        var metadata: Logger.Metadata = [EventKind.metadataKey: "\(line.kind.rawValue)"]
        for (key, value) in line.fields { metadata[key] = "\(value)" }
        logger.log(level: line.kind.level, "\(line.message)", metadata: metadata)
    }
}

/// Which problems were there the last time.
private final class SaidProblems: Sendable {
    private let known = Mutex<Set<RenderProblem>>([])

    func new(_ problems: [RenderProblem]) -> [RenderProblem] {
        known.withLock { known in
            defer { known = Set(problems) }
            return problems.filter { !known.contains($0) }
        }
    }
}
