// SPDX-License-Identifier: Apache-2.0
// Owns the failures of the admin API: code, sentence, HTTP status and exit status, one table for all sides.

/// What went wrong with one request, said so that the reader knows what to do next.
package struct AdminFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The stable, machine-readable name of a failure. Clients must treat an unknown code as `internal`.
    package enum Code: String, CaseIterable, Sendable {
        /// An argument, key, query or body that the daemon does not accept.
        case badRequest = "bad_request"
        /// The caller's user and groups do not give the role that the request needs.
        case denied
        /// No such key or member.
        case notFound = "not_found"
        /// No such path under the API: the client is newer than the daemon, or mistyped.
        case unknownEndpoint = "unknown_endpoint"
        /// The path exists, the method does not.
        case methodNotAllowed = "method_not_allowed"
        /// The client did not finish its request in time.
        case requestTimeout = "request_timeout"
        /// The key has another type, or the member's state forbids the request.
        case conflict
        /// A name or id prefix that fits several members.
        case ambiguous
        /// The idempotency id was used for another request before.
        case requestIDReused = "request_id_reused"
        /// The cursor is from before the history that is kept: read the current state, then start anew.
        case resync
        /// The revision or time asked for is from before the history that is kept, or after the present.
        case historyGone = "history_gone"
        /// A condition sent with the request did not hold; nothing was changed.
        case conditionFailed = "condition_failed"
        /// The key is strict, and this is not done with strict keys.
        case strictKey = "strict_key"
        /// The key is not strict, and this is done with strict keys only.
        case notStrict = "not_strict"
        /// Body, value or element above its bound.
        case tooLarge = "too_large"
        /// All connections or streams are taken.
        case busy
        /// A defect of the daemon; its journal says more.
        case internalError = "internal"
        /// Known, but not built into or switched on in this daemon.
        case unsupported
        /// The daemon cannot serve this now: no majority, leaving, starting or stopping.
        case unavailable
        /// This host's clock is the outlier of the cluster: the daemon takes no writes until it is set right.
        case clockOutlier = "clock_outlier"
        /// The node was away for too long and is fetching the state of the others.
        case resetting
        /// The disk under the data directory is full: reads go on, writes do not.
        case storageFull = "storage_full"
        /// The daemon or a peer did not finish in time.
        case timedOut = "timed_out"
        /// Client side only: nothing answers on the socket.
        case unreachable
        /// Client side only: what came back is not an answer of this API.
        case badAnswer = "bad_answer"
    }

    /// What became of a strict change that has no answer. Open for newer daemons: an unknown text decodes as `unknown`.
    package enum Outcome: String, Codable, Hashable, Sendable {
        /// Nothing was changed, and nothing will be.
        case notDone = "not_done"
        /// It may have been made, or may yet be: read before you repeat it.
        case unknown

        package init(from decoder: any Decoder) throws {
            self = Outcome(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }
    }

    /// A voter that is not reached, or who is missing for the group to form.
    package struct Missing: Codable, Hashable, Sendable {
        /// Nil where only the configured name is known.
        package var id: String?
        package var name: String

        package init(id: String? = nil, name: String) {
            self.id = id
            self.name = name
        }
    }

    package var code: Code
    /// One sentence without a final full stop, fit to follow `gossipctl: `.
    package var message: String
    /// Of changes of strict keys.
    package var outcome: Outcome?
    package var missing: [Missing]?

    package init(_ code: Code, _ message: String, outcome: Outcome? = nil, missing: [Missing]? = nil) {
        self.code = code
        self.message = message
        self.outcome = outcome
        self.missing = missing
    }

    package var description: String { message }
}

/// The exit statuses of `gossipctl` (DESIGN.md section 7).
package enum ExitStatus: Int32, Sendable {
    case done = 0
    case failed = 1
    case notFound = 3
    case preconditionFailed = 4
    case unavailable = 5
    case usage = 64
    case unreachable = 69
    /// `lock run` alone: the lock was lost while the command ran (EX_TEMPFAIL of sysexits.h).
    case lockLost = 75
    case denied = 77
}

extension AdminFailure.Code {
    /// The HTTP status that carries this code. Codes of the client side are never sent.
    package var httpStatus: Int { table.http }

    /// What `gossipctl` exits with.
    package var exitStatus: ExitStatus { table.exit }

    /// The one table of statuses; Docs/operations.md repeats it for the reader.
    private var table: (http: Int, exit: ExitStatus) {
        switch self {
        case .badRequest: (400, .usage)
        case .denied: (403, .denied)
        case .notFound: (404, .notFound)
        case .unknownEndpoint: (404, .failed)
        case .methodNotAllowed: (405, .failed)
        case .requestTimeout: (408, .failed)
        case .conflict: (409, .preconditionFailed)
        case .ambiguous: (409, .preconditionFailed)
        case .requestIDReused: (409, .preconditionFailed)
        case .resync: (410, .preconditionFailed)
        case .historyGone: (410, .failed)
        case .conditionFailed: (412, .preconditionFailed)
        case .strictKey: (409, .preconditionFailed)
        case .notStrict: (409, .preconditionFailed)
        case .tooLarge: (413, .usage)
        case .busy: (429, .unavailable)
        case .internalError: (500, .failed)
        case .unsupported: (501, .failed)
        case .unavailable: (503, .unavailable)
        case .clockOutlier: (503, .unavailable)
        case .resetting: (503, .unavailable)
        case .storageFull: (507, .unavailable)
        case .timedOut: (504, .unavailable)
        case .unreachable: (503, .unreachable)
        case .badAnswer: (502, .failed)
        }
    }

    /// Whether only the client reports this code.
    package var isClientSide: Bool { self == .unreachable || self == .badAnswer }
}

/// The body of every answer that is not a success: `{"error":{"code","message"}}`; strict keys add `outcome`, `missing`.
package struct ErrorDocument: Codable, Hashable, Sendable {
    package struct Detail: Codable, Hashable, Sendable {
        package var code: String
        package var message: String
        package var outcome: AdminFailure.Outcome?
        package var missing: [AdminFailure.Missing]?
    }

    package var error: Detail

    package init(_ failure: AdminFailure) {
        error = Detail(
            code: failure.code.rawValue, message: failure.message, outcome: failure.outcome, missing: failure.missing)
    }

    /// The failure as the client rethrows it; a code from a newer daemon becomes `internal`.
    package var failure: AdminFailure {
        AdminFailure(
            AdminFailure.Code(rawValue: error.code) ?? .internalError, error.message, outcome: error.outcome,
            missing: error.missing)
    }
}
