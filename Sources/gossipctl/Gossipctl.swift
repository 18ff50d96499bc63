// SPDX-License-Identifier: Apache-2.0
// Owns the program: its name, version and list of commands.

import AdminModel
import ArgumentParser
import Glibc
import ProgramUsage

/// `gossipctl`, the command line of the admin API.
@main
struct Gossipctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossipctl",
        abstract: "Look at and change a gossipd node and its cluster.",
        discussion: """
            Talks to the daemon on this host over its Unix socket. Members of group gossipd may change things, members \
            of gossipd-read may look.

            EXAMPLES
              gossipctl members
              gossipctl kv put app/db/url postgres://db-1/app
              gossipctl --output json status

            EXIT STATUS
              0   done
              1   failed
              3   not found
              4   precondition failed
              5   unavailable or timed out
              64  wrong usage
              69  daemon unreachable
              75  lock lost while its command ran
              77  permission denied

            Completions for bash, zsh or fish: gossipctl --generate-completion-script bash
            """,
        version: "gossipctl \(AdminVersion.current)",
        subcommands: [
            StatusCommand.self, MembersCommand.self, MemberCommand.self, JoinCommand.self, LeaveCommand.self,
            ForgetCommand.self, TagsCommand.self, PingCommand.self, RTTCommand.self, EventCommand.self,
            EventsCommand.self, KVCommand.self, SetCommand.self, CounterCommand.self, BackupCommand.self,
            RestoreCommand.self, DoctorCommand.self, RenderCommand.self, KeyCommand.self, StrictCommand.self,
            LeaderCommand.self, LockCommand.self,
        ])

    @OptionGroup var options: GlobalOptions

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if let defect = ArgumentBytes.defect(in: ArgumentBytes.ofProcess) ?? CommandNames.defect(in: arguments) {
            Terminal.complain(defect)
            Glibc.exit(ExitStatus.usage.rawValue)
        }
        let command: any ParsableCommand
        do {
            command = try await asyncParseAsRoot(ArgumentOrder.negativesLast(arguments))
        } catch {
            guard let sentence = UsageSentence.sentence(for: error, of: Self.self) else { exit(withError: error) }
            Terminal.complain(sentence)
            Glibc.exit(ExitStatus.usage.rawValue)
        }
        await run(command)
    }

    private static func run(_ parsed: any ParsableCommand) async {
        do {
            var command = parsed
            if var command = parsed as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: error)
        }
    }
}

/// Negative numbers look like options; moving them behind `--` lets people type them as they are.
enum ArgumentOrder {
    /// For `counter add` and `kv put`: `KEY -5 --output json` becomes `KEY --output json -- -5`.
    static func negativesLast(_ arguments: [String]) -> [String] {
        let commands = zip(arguments, arguments.dropFirst())
        guard commands.contains(where: { $0 == ("counter", "add") || $0 == ("kv", "put") }),
            !arguments.contains("--")
        else { return arguments }
        let negatives = arguments.filter(isNegativeNumber)
        return negatives.isEmpty ? arguments : arguments.filter { !isNegativeNumber($0) } + ["--"] + negatives
    }

    private static func isNegativeNumber(_ text: String) -> Bool {
        text.hasPrefix("-") && text.utf8.count > 1 && text.utf8.dropFirst().allSatisfy { 48...57 ~= $0 }
    }
}
