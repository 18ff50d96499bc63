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

    func failed(_ sentence: String) { logger.critical("\(sentence)") }

    func notice(_ notice: HelperNotice) {
        switch notice {
        case .file(let file): self.file(file)
        case .reload(let reload):
            let metadata: Logger.Metadata = [
                "target": "\(reload.target)", "files": "\(reload.files.joined(separator: " "))",
            ]
            if let failure = reload.failure {
                logger.error(
                    "The reload of \(reload.target) failed: \(failure)",
                    metadata: metadata.merging(["reason": "\(failure)"]) { $1 })
            } else {
                let end = reload.isWithFormer ? " with the former content" : ""
                logger.notice("Reloaded \(reload.target)\(end)", metadata: metadata)
            }
        case .turnedAway(let reason):
            logger.warning("A connection was turned away: \(reason)", metadata: ["reason": "\(reason)"])
        }
    }

    private func file(_ file: ApplyAnswer.File) {
        var metadata: Logger.Metadata = ["file": "\(file.name)", "outcome": "\(file.outcome.rawValue)"]
        if let reason = file.reason { metadata["reason"] = "\(reason)" }
        if let version = file.version { metadata["version"] = "\(version)" }
        let end = file.reason.map { ": \($0)" } ?? ""
        switch file.outcome {
        case .applied, .unchanged, .differs:
            logger.log(
                level: file.reason == nil ? .notice : .warning, "\(file.name) is in place\(end)", metadata: metadata)
        case .refused: logger.warning("\(file.name) was refused\(end)", metadata: metadata)
        case .rolledBack: logger.error("\(file.name) was put back\(end)", metadata: metadata)
        }
    }

    func problems(_ problems: [RenderProblem]) {
        for sentence in said.new(problems.map(\.sentence)) {
            logger.error("A description cannot be used: \(sentence)", metadata: ["reason": "\(sentence)"])
        }
    }
}

/// Which problems were there the last time.
private final class SaidProblems: Sendable {
    private let known = Mutex<Set<String>>([])

    func new(_ sentences: [String]) -> [String] {
        known.withLock { known in
            defer { known = Set(sentences) }
            return sentences.filter { !known.contains($0) }
        }
    }
}
