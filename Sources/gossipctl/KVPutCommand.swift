// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv put`, and where its value comes from.

import AdminClient
import AdminModel
import ArgumentParser
import Glibc

struct KVPutCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "put", abstract: "Write a key.",
        discussion: """
            The value - means the standard input, @FILE or --file the content of a file; --literal takes the value as \
            it stands. Put -- before a value that begins with a dash. It returns when the write is durable on this \
            node; --wait also waits for others and exits with 5 when they take too long: the write is not taken \
            back. Exits with 4 when a condition does not hold.

            Of a strict key it returns when a majority of the voters has the write for good; --wait, --message and --request-id \
            are not for it. When it exits with 5 the sentence says whether nothing was changed or the outcome is not known; it is \
            never sent twice by itself.

            EXAMPLES
              gossipctl kv put app/db/url postgres://db-1/app
              gossipctl kv put app/db/url postgres://db-2/app --wait majority --message why
              gossipctl kv put app/lock "$HOSTNAME" --if-absent --ttl 90s
              gossipctl kv put app/cert @cert.pem
              date | gossipctl kv put app/stamp -
              gossipctl kv put app/flag -- --verbose
            """)

    @OptionGroup var options: GlobalOptions
    @OptionGroup var write: WriteOptionGroup

    @Option(
        help: ArgumentHelp(
            "How long the value holds: at most 3660d, such as 90s, 5m, 24h or 7d.", valueName: "duration"),
        transform: TimeToLive.parse)
    var ttl: TimeToLive?

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    var key: String

    @Argument(help: ArgumentHelp("The value, - or @FILE.", valueName: "value"))
    var value: String?

    @Option(help: ArgumentHelp("Read the value from this file.", valueName: "path"), completion: .file())
    var file: String?

    @Flag(help: "Take the value as it stands, even - or @...")
    var literal = false

    func validate() throws {
        guard (value == nil) != (file == nil) else {
            throw ValidationError("Give a value or --file, one of the two.")
        }
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        let bytes = try readValue()
        guard bytes.count <= AdminLimits.valueBytesMax else {
            throw AdminFailure(
                .tooLarge, "the value has more than \(AdminLimits.valueBytesMax) bytes: split it over several keys")
        }
        let result = try await client.put(key, value: bytes, try write.options(ttl: ttl?.duration))
        try show(try await write.finish(result, key, client), on: terminal) { Self.render($0, verb: "wrote") }
    }

    private func readValue() throws(AdminFailure) -> [UInt8] {
        if let file { return try ValueSource.read(path: file) }
        guard let value else { return [] }
        if literal { return Array(value.utf8) }
        if value == "-" { return try ValueSource.read(descriptor: STDIN_FILENO, name: "the standard input") }
        if value.hasPrefix("@") { return try ValueSource.read(path: String(value.dropFirst())) }
        return Array(value.utf8)
    }

    static func render(_ result: WriteResult, verb: String) -> String {
        if result.keyClass == .strict {
            let version = result.version == "0" ? "" : ", version \(result.version.printable)"
            return
                "\(verb) \(result.key.printable)\(version), strict: on \(result.nodesHolding) of \(result.nodesTotal) voters\n"
        }
        return "\(verb) \(result.key.printable), version \(result.version.printable), "
            + "on \(result.nodesHolding) of \(result.nodesTotal) nodes\n"
    }
}

/// Reads values from files, one byte more than allowed at most, so that the daemon is not needed to refuse.
enum ValueSource {
    static func read(path: String) throws(AdminFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw AdminFailure(.badRequest, "cannot read \(path.quoted): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        return try read(descriptor: descriptor, name: path.quoted)
    }

    static func read(descriptor: Int32, name: String) throws(AdminFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while bytes.count <= AdminLimits.valueBytesMax {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count > 0 {
                bytes.append(contentsOf: chunk.prefix(count))
            } else if errno != EINTR {
                throw AdminFailure(.badRequest, "cannot read \(name): \(String(cString: strerror(errno)))")
            }
        }
        return bytes
    }
}
