// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv txn`.

import AdminClient
import AdminModel
import ArgumentParser
import Glibc

struct KVTxnCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "txn", abstract: "Change several strict keys in one moment, if conditions hold.",
        discussion: """
            Reads JSON from the standard input or --file: if all of "compare" hold, the steps of "then" are done, else those of \
            "else"; no other change comes between. A compare is one of {"key":K,"exists":true}, {"key":K,"version":V} (0: it \
            is not there), {"key":K,"value":X}, {"lock":NAME,"token":N}. A step is one of {"put":K,"value":X}, {"delete":K}, \
            {"get":K}. "value_base64" takes any bytes. A branch writes each key once.

            Prints what became of each step. Exits with 4 when the compares do not hold, also when "else" was done; with 5 when \
            there is no answer: the sentence says whether nothing was changed or the outcome is not known. It is never sent \
            twice by itself.

            EXAMPLES
              gossipctl kv txn --file move.json
              echo '{"then":[{"put":"strict/a","value":"1"}]}' | gossipctl kv txn
            """)

    @OptionGroup var options: GlobalOptions

    @Option(help: ArgumentHelp("Read the transaction from this file.", valueName: "path"), completion: .file())
    var file: String?

    /// What a transaction takes as JSON at most: the daemon's default for a request's body.
    private static let bytesMax = 1 << 20

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let source = try ByteSource(path: file ?? "-")
        var text: [UInt8] = []
        while let piece = try source.read() {
            text += piece
            guard text.count <= Self.bytesMax else {
                throw AdminFailure(.tooLarge, "the transaction has more than \(Self.bytesMax >> 20) MiB: split it")
            }
        }
        let request = try AdminJSON.decodeRequest(
            StrictTransactionRequest.self, from: text, subject: "the input is not a transaction, see kv txn --help")
        try request.validate()
        let result = try await client.transact(request)
        try show(result, on: terminal) { Self.render($0) }
        guard result.succeeded else {
            throw AdminFailure(
                .conditionFailed,
                (request.otherwise ?? []).isEmpty
                    ? "the compares do not hold: nothing was changed"
                    : "the compares do not hold: the steps of \"else\" were done")
        }
    }

    static func render(_ result: StrictTransactionResult) -> String {
        result.results.map { step in
            let version = step.version.map { ", version \($0.printable)" } ?? ""
            if let key = step.put { return "put \(key.printable)\(version)\n" }
            if let key = step.delete {
                return "delete \(key.printable)\(step.found == true ? "" : ": was not there")\n"
            }
            let key = (step.get ?? "").printable
            guard step.found == true, let bytes = ByteText.join(text: step.value, base64: step.valueBase64) else {
                return "get \(key): not there\n"
            }
            return "get \(key) = \(Format.preview(bytes).printable)\(version)\n"
        }.joined()
    }
}
