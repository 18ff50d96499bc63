// SPDX-License-Identifier: Apache-2.0
// Owns what a benchmark is, how it is run, and the summary of its rounds.

import Glibc

/// One figure that is measured several times.
struct Benchmark {
    enum Unit: String {
        /// CPU time of the measuring thread: other work on the machine does not count.
        case nanosecondsPerOperation = "ns/op"
        /// Growth of this process's resident memory.
        case bytesEach = "bytes each"
        /// Events in one second of CPU time.
        case eventsPerSecond = "events/s"
    }

    /// `area/what`, for `--filter`.
    let name: String
    let unit: Unit
    /// What one operation is, in one sentence.
    let meaning: String
    /// Builds what the rounds work on and returns one round, which measures one sample.
    let prepare: () throws -> () throws -> Double
    /// Rounds that are run first and thrown away.
    var warmUps = 2
    /// Rounds that count; nil: as many as the command line says.
    var rounds: Int?

    func run(rounds standard: Int) throws -> Summary {
        let round = try prepare()
        for _ in 0..<warmUps { _ = try round() }
        var samples: [Double] = []
        for _ in 0..<(rounds ?? standard) { samples.append(try round()) }
        return Summary(samples)
    }
}

/// The samples of one benchmark.
struct Summary {
    let median: Double
    let lowest: Double
    let highest: Double
    let rounds: Int

    init(_ samples: [Double]) {
        let sorted = samples.sorted()
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        lowest = sorted[0]
        highest = sorted[sorted.count - 1]
        rounds = sorted.count
    }

    /// From the lowest to the highest sample, in percent of the median.
    var spread: Double { median > 0 ? (highest - lowest) / median * 100 : 0 }
}

/// A benchmark found that what it measures did not happen.
struct WrongResult: Error, CustomStringConvertible {
    let description: String

    static func unless(_ condition: Bool, _ sentence: @autoclosure () -> String) throws {
        if !condition { throw WrongResult(description: sentence()) }
    }
}

enum Measure {
    /// CPU time of this thread in nanoseconds since it began.
    static func threadNanoseconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }

    /// CPU nanoseconds for each of the `operations` that `body` does.
    static func nanoseconds(_ operations: Int, _ body: () throws -> Void) rethrows -> Double {
        let begin = threadNanoseconds()
        try body()
        return (threadNanoseconds() - begin) / Double(operations)
    }

    /// Resident memory of this process in bytes.
    static func residentBytes() throws -> Int {
        let file = open("/proc/self/statm", O_RDONLY)
        guard file >= 0 else { throw WrongResult(description: "/proc/self/statm cannot be read") }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = read(file, &buffer, buffer.count)
        let fields = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else {
            throw WrongResult(description: "/proc/self/statm says nothing of resident memory")
        }
        return pages * sysconf(CInt(_SC_PAGESIZE))
    }
}
