// SPDX-License-Identifier: Apache-2.0
// Owns the program that renders one template and ends: a job on standard input, its outcome on standard output.

import DaemonConfig
import Delivery
import FoundationEssentials
import Glibc

/// `gossipd-render <JOB >OUTCOME`: a `RenderJob` and a `RenderOutcome` as JSON. Status 0 whenever an outcome was
/// written, whether it is a text or an error; 64 when it is given arguments.
@main
struct GossipdRender {
    /// Bytes of memory and seconds of computing, far above what a template within its bounds needs.
    private static let memoryMax: UInt = 2 << 30
    private static let secondsMax: UInt = 60

    private static let help = """
        OVERVIEW: Renders one template for gossipd, which starts it.

        A job comes on the standard input and its outcome goes to the standard output, both as
        JSON. Exits with 0 whenever an outcome was written, also when it is an error.

        EXAMPLES
          echo '{"template":"Hello","values":{}}' | /usr/lib/gossipd/gossipd-render

        USAGE: gossipd-render

        OPTIONS:
          -h, --help              Show help information.


        """

    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        if let first = arguments.first {
            let isHelp = arguments.count == 1 && (first == "--help" || first == "-h")
            guard isHelp else {
                complain("gossipd-render: it takes no arguments: see gossipd-render --help\n")
                exit(64)
            }
            exit(write(Array(help.utf8)) ? 0 : 1)
        }
        limit(RLIMIT_AS, memoryMax)
        limit(RLIMIT_CPU, secondsMax)
        limit(RLIMIT_CORE, 0)
        guard let bytes = try? JSONEncoder().encode(outcome()), write(Array(bytes)) else { exit(1) }
    }

    private static func limit(_ resource: __rlimit_resource, _ value: UInt) {
        var limit = rlimit(rlim_cur: value, rlim_max: value)
        // A guard beside the daemon's own time limit: without it the template is rendered all the same.
        _ = setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
    }

    private static func outcome() -> RenderOutcome {
        let input: [UInt8]
        do throws(FileReadFailure) {
            input = try FileText.read(STDIN_FILENO, sizeMax: RenderBounds.jobBytesMax + 1)
        } catch {
            return RenderOutcome(error: "standard input \(error.reason)")
        }
        guard input.count <= RenderBounds.jobBytesMax else {
            return RenderOutcome(
                error: "the template and its data are larger than \(RenderBounds.jobBytesMax >> 20) MiB")
        }
        guard let job = try? JSONDecoder().decode(RenderJob.self, from: Data(input)) else {
            return RenderOutcome(error: "standard input is not a job: gossipd starts this program")
        }
        return TemplateText.outcome(of: job)
    }

    private static func complain(_ sentence: String) { _ = write(Array(sentence.utf8), to: STDERR_FILENO) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32 = STDOUT_FILENO) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }
}
