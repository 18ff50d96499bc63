// SPDX-License-Identifier: Apache-2.0
// Owns the helper that writes files for the daemon with rights of its own: its start, its log, its end.

import AdminModel
import ArgumentParser
import Delivery
import Glibc
import SystemdSupport

@main
struct GossipdApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossipd-apply",
        abstract: "Puts rendered files in place for gossipd, with root's rights.",
        discussion: """
            Started by gossipd-apply.socket. What is written where, checked and reloaded is said by the files of the \
            directory alone; a request names one of them and brings bytes.

            EXAMPLES
              systemctl enable --now gossipd-apply.socket
              systemd-socket-activate --listen=/tmp/apply.sock \\
                /usr/lib/gossipd/gossipd-apply \\
                --directory /tmp/render.d --state-dir /tmp/apply
            """)

    @Option(help: "Folder of the descriptions; as root only files that nobody else can write are taken.")
    var directory = "/etc/gossipd/render.d"

    @Option(help: "Folder where it is noted what has to be reloaded.")
    var stateDir = "/var/lib/gossipd-apply"

    @Option(help: "Folder of the daemon's data, where no destination may be.")
    var dataDir = "/var/lib/gossipd"

    @Option(help: "Ends when nobody asked for so long. (default: 60s)", transform: HelperArguments.duration)
    var idleExit: Duration = .seconds(60)

    @Flag(help: ArgumentHelp("Runs outside its unit, which hides folders from it; for tests.", visibility: .hidden))
    var unconfined = false

    @Option(help: ArgumentHelp("Program that reloads units, for tests.", visibility: .hidden))
    var systemctl = "systemctl"

    func run() throws {
        // Before the log has its thread.
        let stop: Int32
        do throws(DeliveryFailure) {
            stop = try StopSignal.block()
        } catch { throw HelperArguments.failure(error.sentence) }
        let sockets = Systemd.listenSockets()
        guard let listener = sockets.first, sockets.count == 1 else {
            throw HelperArguments.failure(
                "this program takes one socket from systemd: systemctl enable --now gossipd-apply.socket")
        }
        let log = HelperLog(label: "gossipd-apply")
        defer { log.flush() }
        let folder = directory
        let limits = DestinationLimits(folders: [dataDir, stateDir], isConfined: !unconfined)
        let applier = Applier(Applier.Settings(stateFolder: stateDir, systemctl: [systemctl])) {
            let listing = RenderDirectory.read(folder, within: limits)
            log.problems(listing.problems)
            return listing
        }
        let server = HelperServer(
            listener: listener.descriptor, applier: applier, idleExit: idleExit, stop: stop, notify: log.notice)
        do throws(DeliveryFailure) {
            try server.run()
        } catch {
            log.failed(error.sentence)
            throw ExitCode(1)
        }
    }
}

enum HelperArguments {
    static func duration(_ text: String) throws -> Duration {
        guard let duration = DurationText.parse(text, max: .seconds(86_400)) else {
            throw ValidationError("\(text) is no duration: write a number and a unit, such as 60s or 5m")
        }
        return duration
    }

    /// Says `sentence` on standard error: there is no log yet.
    static func failure(_ sentence: String) -> ExitCode {
        let bytes = Array("gossipd-apply: \(sentence)\n".utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
        return ExitCode(1)
    }
}
