// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl lock run` and `lock list`: what they are called with, and what they print.

import AdminClient
import AdminModel
import ArgumentParser

struct LockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock", abstract: "Hold a lock of the cluster while a command runs; see who holds which.",
        discussion: """
            EXAMPLES
              gossipctl lock run deploy -- ./deploy.sh
              gossipctl lock list
            """,
        subcommands: [LockRunCommand.self, LockListCommand.self])

    @OptionGroup var options: GlobalOptions
}

struct LockRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a command while this process holds a lock.",
        discussion: """
            One process of the whole cluster holds a lock at a time; others wait in the order in which they asked. The lock \
            belongs to a lease that is renewed while the command runs, and ends by itself --ttl after the last renewal when \
            this host fails. It is given back when the command ends. Locks need strict.prefixes; their names are their own.

            The command finds the lock's name in GOSSIPD_LOCK_NAME and a number that grows with each holder in \
            GOSSIPD_LOCK_TOKEN: hand that to what the lock protects, which refuses lower ones, or write strict keys with \
            {"lock":NAME,"token":N} among the compares of kv txn. For whoever was stopped for longer than --ttl may not know yet \
            that another has the lock.

            When the lock is lost the command gets SIGTERM, and SIGKILL after --grace. Signals are passed on to the command; \
            unless the standard input is a terminal it has a process group of its own, and all of the group get them.

            EXIT STATUS
              the command's own, or 128 and the number of the signal that ended it
              5    the lock was not had within --wait, or no leader answered
              75   the lock was lost while the command ran
              126  the command cannot be run
              127  there is no such command

            EXAMPLES
              gossipctl lock run deploy -- ./deploy.sh
              gossipctl lock run backup --ttl 30s --wait 10m -- sh -c 'make backup'
              gossipctl lock run nightly --wait 0s -- run-parts /etc/cron.d
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The lock's name, such as deploy or app/migrate.", valueName: "name"))
    var name: String

    @Option(
        help: ArgumentHelp(
            "How long the lock outlives the last sign of this process: \(LockTime.bounds). (default: 10s)",
            valueName: "duration"),
        transform: LockTime.parse)
    var ttl = LockTime(duration: .seconds(10))

    @Option(
        help: ArgumentHelp(
            "How long to wait for others to give it back; 0s: not at all. (default: as long as it takes)",
            valueName: "duration"),
        transform: WaitTime.parse)
    var wait: WaitTime?

    @Option(
        help: ArgumentHelp(
            "From SIGTERM to SIGKILL when the lock is lost. (default: 5s)", valueName: "duration"),
        transform: WaitTime.parse)
    var grace = WaitTime(duration: .seconds(5))

    @Argument(parsing: .postTerminator, help: ArgumentHelp("What to run.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        guard !name.isEmpty else { throw ValidationError("Name the lock, such as deploy or app/migrate.") }
        guard !command.isEmpty else { throw ValidationError("Give a command behind --.") }
    }

    func run() async throws {
        let status: Int32
        do throws(AdminFailure) {
            let holder = LockHolder(
                client: options.makeClient(), name: try parseKey(name), ttl: ttl.duration, wait: wait?.duration,
                grace: grace.duration)
            status = try await holder.run(command)
        } catch {
            Terminal.complain(error.message)
            throw ExitCode(error.code.exitStatus.rawValue)
        }
        throw ExitCode(status)
    }
}

/// The time to live of a lock's lease.
struct LockTime: BoundedArgument, Hashable {
    static let bounds = "1s to 24h, such as 10s or 1m"

    var duration: Duration

    init(duration: Duration) { self.duration = duration }

    init?(argument: String) {
        guard let duration = DurationText.parse(argument, max: .seconds(86_400)), duration >= .seconds(1) else {
            return nil
        }
        self.init(duration: duration)
    }
}

/// A time to wait, which may be none.
struct WaitTime: BoundedArgument, Hashable {
    static let bounds = "0s to 24h, such as 0s, 30s or 10m"

    var duration: Duration

    init(duration: Duration) { self.duration = duration }

    init?(argument: String) {
        if ["0", "0s", "0ms", "0m"].contains(argument) {
            self.init(duration: .zero)
            return
        }
        guard let duration = DurationText.parse(argument, max: .seconds(86_400)) else { return nil }
        self.init(duration: duration)
    }
}

struct LockListCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the locks that are held, as the leader has them now.",
        discussion: """
            EXAMPLES
              gossipctl lock list
              gossipctl --output json lock list
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        var all = LockListDocument(locks: [])
        repeat {
            let page = try await client.locks(after: all.next)
            all.locks += page.locks
            all.next = page.next
        } while all.next != nil
        try show(all, on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ document: LockListDocument, _ terminal: Terminal) -> String {
        var table = TextTable(["LOCK", "TOKEN", "LEASE", "WAITING"], rightAligned: [1, 2, 3])
        for lock in document.locks {
            table.add([.init(lock.name), .init("\(lock.token)"), .init(lock.lease), .init("\(lock.waiting)")])
        }
        return table.render(for: terminal)
    }
}
