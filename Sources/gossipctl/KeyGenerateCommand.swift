// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl key generate`: a new key, without a daemon.

import AdminModel
import ArgumentParser
import Glibc

struct KeyGenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Make a new key; no daemon is needed.",
        discussion: """
            Prints 32 random bytes of the system in base64, which is a line of a key file, or writes them to a new file that \
            only its owner may read.

            EXAMPLES
              gossipctl key generate --file /etc/gossipd/keys
              gossipctl key generate | gossipctl key install
            """)

    @OptionGroup var options: GlobalOptions

    // `--output` is the format of what is printed, in every command.
    @Option(help: ArgumentHelp("Write the key to this new file, mode 0600, instead of printing it.", valueName: "file"))
    var file: String?

    func run() async throws {
        do throws(AdminFailure) {
            let text = KeyText.generate()
            guard let file else { return try write(text) }
            let new = try NewFile(path: file, replaces: false)
            do throws(AdminFailure) {
                try new.write(Array((text + "\n").utf8))
                try new.finish()
            } catch {
                new.discard()
                throw error
            }
        } catch {
            Terminal.complain(error.message)
            throw ExitCode(error.code.exitStatus.rawValue)
        }
    }

    private func write(_ text: String) throws(AdminFailure) {
        guard case .json = options.output else { return Terminal.standard.print(text + "\n") }
        // Base64 has no character that JSON would escape but the slash, which it need not.
        Terminal.standard.print("{\"key\":\"\(text)\"}\n")
    }
}

/// A key as text.
enum KeyText {
    /// 32 bytes of getrandom(2), base64.
    static func generate() -> String {
        var random = SystemRandomNumberGenerator()
        return ByteText.base64((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    /// Whether this may well be a key.
    static func looksLikeKey(_ text: String) -> Bool {
        text.utf8.count == 44 && text.hasSuffix("=") && !text.hasPrefix("/")
    }
}
