// SPDX-License-Identifier: Apache-2.0
// Owns running a program to its end: input, bounded output, a time limit, and nothing left of it behind.

import Glibc

/// What a program left.
package struct CommandResult: Hashable, Sendable {
    /// The exit status, or 128 and the signal's number, as shells count.
    package var status: Int32
    package var output: [UInt8]
    /// The last of its standard error, as text, white space at the ends cut off.
    package var errorText: String

    package init(status: Int32, output: [UInt8], errorText: String) {
        self.status = status
        self.output = output
        self.errorText = errorText
    }
}

package enum CommandRunner {
    /// What is kept of a program's standard output.
    package enum Output: Hashable, Sendable {
        /// So many of the last bytes, where programs say why; what was before them is read and dropped.
        case last(Int)
        /// All of it: it is content. More bytes end the program, and the run has failed.
        case whole(max: Int)
    }

    /// Bytes of standard error that are kept: the last ones, where programs say why.
    package static let errorBytesMax = 4_096
    /// Bytes of standard output that are kept of a program whose output is not content.
    package static let outputBytesMax = 65_536
    /// How long a program that was told to end may take before it is killed.
    static let graceMax: Duration = .seconds(1)

    /// Runs `arguments` to its end and blocks until then; call it on a thread that may wait.
    ///
    /// The program has a session of its own, no descriptors but 0, 1 and 2, default signals, and no part of it outlives
    /// the call, except what moves itself into yet another session, as daemons do. A status other than 0 is no failure.
    ///
    /// - Parameters:
    ///   - arguments: the program, looked up in PATH, and its arguments.
    ///   - input: what it finds on its standard input; it need not read it.
    ///   - timeout: after this its whole process group gets SIGTERM, and SIGKILL a second later.
    ///   - output: what is kept of its standard output.
    ///   - environment: `NAME=value` each; nil for that of this process.
    /// - Throws: `.command` when it cannot be started, takes too long or writes more than a `.whole` output may have.
    package static func run(
        _ arguments: [String], input: [UInt8] = [], timeout: Duration, output: Output = .last(outputBytesMax),
        environment: [String]? = nil
    ) throws(DeliveryFailure) -> CommandResult {
        var child = try SpawnedProgram(arguments, environment: environment)
        defer { child.close() }
        let deadline = ContinuousClock.now + timeout
        var exchange = CommandExchange(input: input, kept: output)
        var problem: String?
        switch exchange.run(&child, until: deadline) {
        case .ended: break
        case .late: problem = "took longer than \(SystemText.of(timeout))"
        case .tooMuch(let max): problem = "wrote more than \(max) bytes"
        }
        if problem != nil {
            child.signal(SIGTERM)
            exchange.discard()
            _ = exchange.run(&child, until: ContinuousClock.now + graceMax)
        }
        let status = child.end()
        if let problem {
            let words = LastWords.of(exchange.errorText)
            throw .command("\(arguments[0]) \(problem) and was ended" + (words.isEmpty ? "" : ": \(words)"))
        }
        guard let status else {
            throw .command("how \(arguments[0]) ended is not known: something else in this process waits for children")
        }
        return CommandResult(status: status, output: exchange.output, errorText: exchange.errorText)
    }
}

/// What goes in and out while the program runs.
private struct CommandExchange {
    enum End {
        case ended
        case late
        /// More than this bound.
        case tooMuch(Int)
    }

    private let input: [UInt8]
    private var sent = 0
    /// What of the output is kept: from `discard` on nothing.
    private var kept: CommandRunner.Output
    private var errors: [UInt8] = []
    private(set) var output: [UInt8] = []
    private var isDiscarding = false

    init(input: [UInt8], kept: CommandRunner.Output) {
        self.input = input
        self.kept = kept
    }

    /// From now on output goes nowhere: the program only has to end.
    mutating func discard() {
        isDiscarding = true
        kept = .last(0)
        output = []
    }

    var errorText: String {
        let text = String(decoding: errors, as: UTF8.self)
        let isSpace: (Character) -> Bool = { $0.isWhitespace || $0.isNewline }
        return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }

    /// Carries bytes until the program has ended, whoever else still holds its pipes.
    mutating func run(_ child: inout SpawnedProgram, until deadline: ContinuousClock.Instant) -> End {
        while true {
            if sent == input.count || isDiscarding { child.closeInput() }
            let left = deadline - .now
            if left <= .zero { return .late }
            var waits = [
                pollfd(fd: child.handle, events: Int16(POLLIN), revents: 0),
                pollfd(fd: child.input, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: child.output, events: Int16(POLLIN), revents: 0),
                pollfd(fd: child.errors, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&waits, nfds_t(waits.count), CInt(min(left.milliseconds, 60_000))) >= 0 else { continue }
            if waits[1].revents != 0 { send(&child) }
            // What is in the pipes when the program has ended is still its own.
            if waits[2].revents != 0 || waits[0].revents != 0 {
                let last: Int? = if case .last(let count) = kept { count } else { nil }
                Self.receive(&child.output, &output, keepingLast: last)
            }
            if waits[3].revents != 0 || waits[0].revents != 0 {
                Self.receive(&child.errors, &errors, keepingLast: CommandRunner.errorBytesMax)
            }
            if case .whole(let max) = kept, output.count > max { return .tooMuch(max) }
            if waits[0].revents != 0 { return .ended }
        }
    }

    private mutating func send(_ child: inout SpawnedProgram) {
        let count = input[sent...].withUnsafeBytes { SignalGuard.write(child.input, $0) }
        if count > 0 {
            sent += count
        } else if count < 0, errno != EAGAIN, errno != EINTR {
            // It does not want the rest, which is its own affair.
            child.closeInput()
        }
    }

    /// Takes what is there, and closes the descriptor at its end; of `bytes` only so many of the last are kept.
    private static func receive(_ descriptor: inout CInt, _ bytes: inout [UInt8], keepingLast: Int?) {
        guard descriptor >= 0 else { return }
        var chunk = [UInt8](repeating: 0, count: 16_384)
        // A pipe holds 64 KiB: all of it is taken, and a flood does not hold us up.
        for _ in 0..<5 {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return }
            if count <= 0 {
                close(descriptor)
                descriptor = -1
                return
            }
            bytes += chunk[..<count]
            if let keepingLast, bytes.count > keepingLast { bytes.removeFirst(bytes.count - keepingLast) }
        }
    }
}
