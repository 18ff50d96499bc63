// SPDX-License-Identifier: Apache-2.0
// Owns what is asked of whoever writes the files, in this process or in the helper, and its answers.

/// New contents for files, by the names of their descriptions: where they go is the helper's own knowledge.
package struct ApplyRequest: Hashable, Codable, Sendable {
    package enum Operation: String, Codable, Sendable {
        /// Tell what is there; change nothing.
        case compare
        /// Check and put in place what differs, then reload once for all that share it.
        case apply
    }

    package struct File: Hashable, Codable, Sendable {
        package var name: String
        package var content: [UInt8]

        package init(name: String, content: [UInt8]) {
            self.name = name
            self.content = content
        }
    }

    package var operation: Operation
    package var files: [File]

    package init(_ operation: Operation, _ files: [File]) {
        self.operation = operation
        self.files = files
    }
}

package struct ApplyAnswer: Hashable, Codable, Sendable {
    package enum Outcome: String, Codable, Sendable {
        /// The destination has this content already.
        case unchanged
        /// `compare`: the destination would change.
        case differs
        /// Put in place, and whatever had to be reloaded was.
        case applied
        /// Not put in place, by policy: in no description, empty, much smaller or too large, or its check said no.
        case refused
        /// Not put in place, since the system could not: a folder, a user, a right or room is missing, something is in
        /// the way, the check could not be run.
        case failed
        /// Put in place, but the reload failed: the former content is back.
        case rolledBack = "rolled_back"
    }

    package struct File: Hashable, Codable, Sendable {
        package var name: String
        package var outcome: Outcome
        /// Why it was refused, has failed or was rolled back: one sentence with what to do.
        package var reason: String?
        /// `ContentVersion` of what is at the destination now; nil when nothing is.
        package var version: String?
        /// `compare` alone: what is at the destination now; nil when nothing is or it is too large.
        package var present: [UInt8]?
        /// Whether the destination was looked at; if not, `version` says nothing.
        package var isSeen = true

        package init(
            name: String, outcome: Outcome, reason: String? = nil, version: String? = nil, present: [UInt8]? = nil
        ) {
            self.name = name
            self.outcome = outcome
            self.reason = reason
            self.version = version
            self.present = present
        }
    }

    package struct Reload: Hashable, Codable, Sendable {
        /// `unit nginx.service` or the command.
        package var target: String
        /// The names of the files that asked for it.
        package var files: [String]
        /// Why it failed; nil when it did not.
        package var failure: String?
        /// Whether it was the second reload, with the former contents, after the first one failed.
        package var isWithFormer: Bool

        package init(target: String, files: [String], failure: String? = nil, isWithFormer: Bool = false) {
            self.target = target
            self.files = files
            self.failure = failure
            self.isWithFormer = isWithFormer
        }
    }

    package var files: [File]
    package var reloads: [Reload]

    package init(files: [File], reloads: [Reload] = []) {
        self.files = files
        self.reloads = reloads
    }
}

/// Whoever can write the files: `LocalApplier` in this process, `HelperClient` through the helper's socket.
package protocol FileApplier: Sendable {
    /// Answers for each file of the request; throws only when nothing could be asked, and then nothing was done.
    func perform(_ request: ApplyRequest) async throws(DeliveryFailure) -> ApplyAnswer
}
