// SPDX-License-Identifier: Apache-2.0
// Owns the tests that a seed replays: in one process, under observation, and in another process.

import ClusterTypes
import FoundationEssentials
import Glibc
import Simulator
import Testing

@Suite("Determinism")
struct DeterminismTests {
    /// Everything at once: faults, writes, restarts, draws of random nodes.
    private static let text = """
        nodes 8
        loss 5%
        duplicate 5%
        reorder 10% by 30ms
        corrupt 2%
        disk 1ms jitter 3ms
        drift n2 500ppm
        at 3s every 300ms for 10s put random app/{n} "{node}"
        at 4s every 1s for 8s add all app/set "{n}"
        at 5s bounce random 2 for 3s
        at 6s stall random for 2s
        at 7s partition first 50% | last 50%
        at 12s heal
        at 13s leave n8
        expect converged within 15s
        run 30s
        """

    private static func simulate(seed: UInt64, trace: ((String) -> Void)? = nil) throws -> SimulationReport {
        let scenario = try ScenarioParser.parse(text, file: "everything", name: "everything")
        return try Simulation(scenario: scenario, seed: seed, trace: trace).run()
    }

    @Test("One seed gives one trace and one report, and observing changes neither", arguments: [1, 2] as [UInt64])
    func sameSeed(seed: UInt64) throws {
        var first: [String] = []
        var second: [String] = []
        let a = try Self.simulate(seed: seed) { first.append($0) }
        let b = try Self.simulate(seed: seed) { second.append($0) }
        let unobserved = try Self.simulate(seed: seed)
        #expect(first.count > 1_000)
        #expect(first == second)
        #expect(a.text == b.text && a.json.text == b.json.text)
        #expect(unobserved.text == a.text)
    }

    @Test("Another seed gives another trace")
    func otherSeed() throws {
        var first: [String] = []
        var second: [String] = []
        _ = try Self.simulate(seed: 1) { first.append($0) }
        _ = try Self.simulate(seed: 2) { second.append($0) }
        #expect(first != second)
    }

    @Test("Two processes print the same bytes")
    func processes() throws {
        let arguments = ["run", "--scenario", "skew", "--seed", "5", "--trace"]
        let first = try Self.output(of: arguments)
        let second = try Self.output(of: arguments)
        #expect(first.status == 0 && second.status == 0)
        #expect(first.bytes.count > 10_000)
        #expect(first.bytes == second.bytes)
    }

    @Test("A failed expectation ends with status 1 and the command that replays it")
    func failingProcess() throws {
        let file = try Self.temporaryFile("nodes 3\nat 2s expect failed n3 within 1s\nrun 5s\n")
        defer { unlink(file) }
        let result = try Self.output(of: ["run", "--scenario-file", file, "--seed", "77"])
        let text = String(decoding: result.bytes, as: UTF8.self)
        #expect(result.status == 1)
        #expect(text.contains("result: FAILED") && text.contains("holds n3 for alive"))
        #expect(text.contains("seed 77"))
        #expect(text.contains("replay with: gossipsim run --scenario-file \(file) --seed 77"))
    }

    @Test(
        "What cannot be run ends with status 64",
        arguments: [
            ["run", "--scenario", "sunshine"], ["run", "--scenario-file", "/nonexistent"], ["run", "--nodes", "0"],
            ["run", "--scenario", "kill", "--nodes", "3"], ["run", "--duration", "soon"],
            ["run", "--scenario", "kill", "--duration", "5s"], ["list", "sunshine"], ["sweep", "--seeds", "0"],
        ])
    func usage(arguments: [String]) throws {
        #expect(try Self.output(of: arguments).status == 64)
    }

    // MARK: - Processes

    struct ProcessFailure: Error, CustomStringConvertible {
        var description: String
    }

    /// Standard output, then standard error, and the exit status.
    private static func output(of arguments: [String]) throws -> (bytes: [UInt8], status: Int32) {
        let program = try programPath()
        let out = try temporaryFile("")
        let err = try temporaryFile("")
        defer {
            unlink(out)
            unlink(err)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_TRUNC, 0)
        posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_TRUNC, 0)
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        words.append(nil)
        var pid: pid_t = 0
        let code = posix_spawn(&pid, program, &actions, nil, words, environ)
        guard code == 0 else { throw ProcessFailure(description: "cannot start \(program): error \(code)") }
        var status: Int32 = 0
        guard waitpid(pid, &status, 0) == pid else { throw ProcessFailure(description: "lost \(program)") }
        guard status & 0x7f == 0 else {
            throw ProcessFailure(description: "\(program) died of signal \(status & 0x7f)")
        }
        let bytes = [out, err].flatMap { [UInt8](FileManager.default.contents(atPath: $0) ?? Data()) }
        return (bytes, status >> 8 & 0xff)
    }

    /// gossipsim lies beside the test bundle: the build puts both into one folder.
    private static func programPath() throws -> String {
        var folder = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") { folder = argument }
        let path = folder.split(separator: Character("/")).dropLast().joined(separator: "/")
        let program = (folder.hasPrefix("/") ? "/" : "") + path + "/gossipsim"
        guard access(program, X_OK) == 0 else {
            throw ProcessFailure(description: "there is no \(program); build the product gossipsim first")
        }
        return program
    }

    private static func temporaryFile(_ content: String) throws -> String {
        var template = Array((FileManager.default.temporaryDirectory.path + "/gossipsim-test-XXXXXX").utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw ProcessFailure(description: "cannot make a temporary file") }
        defer { close(descriptor) }
        let bytes = Array(content.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            throw ProcessFailure(description: "cannot write a temporary file")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
