// SPDX-License-Identifier: Apache-2.0
// Owns the settings of the admin server: the socket, who may do what, and every bound.

/// How the admin server listens, whom it obeys and what it refuses.
package struct AdminServerSettings: Sendable {
    /// Where the socket is made; at most 107 bytes. Ignored when a listening socket is adopted.
    package var socketPath: String
    /// The socket file's permission bits. Default 0666: the peer's credentials decide, not the file mode, so that
    /// who may not is told so. A stricter mode keeps others from connecting at all.
    package var socketMode: UInt32 = 0o666
    /// The socket file's group, by name or number; nil keeps the daemon's own.
    package var socketGroup: String?

    /// Users and groups, by name or number, beside root, the daemon's own user and group. The package's groups come
    /// first, and the configuration adds to them.
    package var adminUsers: [String] = []
    package var adminGroups: [String] = ["gossipd"]
    package var readUsers: [String] = []
    package var readGroups: [String] = ["gossipd-read"]

    /// Bytes of a request's body.
    package var maxBodyBytes = 1024 * 1024
    /// Bytes of the body of an import: a full transaction, in JSON.
    package var maxImportBytes = 64 * 1024 * 1024
    /// Bytes of a backup to restore.
    package var maxRestoreBytes = 16 * 1024 * 1024 * 1024
    /// Imports, exports, backups and restores at once; the next one is answered with `busy`.
    package var maxTransfers = 4
    /// Connections at once; the next one is answered with `busy` and closed.
    package var maxConnections = 256
    /// Refused connections at once whose peers are given time to read why; the next one is closed at once.
    package var maxDraining = 256
    /// Streams (`events`, `watch`, calls) at once; the next one is answered with `busy`.
    package var maxStreams = 64
    /// Until a connection without a request is closed.
    package var idleDeadline: Duration = .seconds(60)
    /// From a request's head to the end of its body; of a streamed body, between two of its pieces.
    package var requestDeadline: Duration = .seconds(10)
    /// From the end of a request to the start of its answer.
    package var answerDeadline: Duration = .seconds(60)
    /// While a client takes nothing of what is written to it.
    package var writeDeadline: Duration = .seconds(10)
    /// Until a connection above the limit is answered, if nothing comes from it, and from that answer until it is
    /// closed, if its peer does not close it first.
    package var drainDeadline: Duration = .seconds(5)
    /// Between two heartbeats of a silent stream.
    package var heartbeatInterval: Duration = .seconds(15)

    /// The groups that the package creates.
    static let packageGroups = ["gossipd", "gossipd-read"]

    package init(socketPath: String) { self.socketPath = socketPath }
}
