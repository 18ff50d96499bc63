// SPDX-License-Identifier: Apache-2.0
// Owns the tests of durations and sizes as text.

import ClusterTypes
import DaemonConfig
import Testing

@Suite("Durations and sizes")
struct UnitTextTests {
    @Test(
        "A duration is whole numbers with units, largest first",
        arguments: [
            ("1s", Interval.seconds(1)), ("500ms", .milliseconds(500)), ("1m30s", .seconds(90)), ("0s", .zero),
            ("72h", .seconds(259_200)), ("7d", .seconds(604_800)), ("250us", .microseconds(250)),
            ("1s1ns", .nanoseconds(1_000_000_001)),
            ("292y", nil), ("", nil), ("1", nil), ("s", nil), ("1.5s", nil), ("-1s", nil), ("1s ", nil), (" 1s", nil),
            ("1 s", nil), ("30s1m", nil), ("1s1s", nil), ("+1s", nil), ("1S", nil), ("９s", nil), ("1µs", nil),
            ("9223372036854775807s", nil), ("9223372036854775808ns", nil), ("99999999999999999999h", nil),
            ("106751d23h47m16s854ms775us807ns", Interval(nanoseconds: .max)),
            ("106751d23h47m16s854ms775us808ns", nil),
        ] as [(String, Interval?)])
    func durations(text: String, expected: Interval?) {
        #expect(DurationText.parse(text) == expected)
    }

    @Test(
        "A duration is written in the shortest form that reads back",
        arguments: ["0s", "1s", "500ms", "1m30s", "72h", "168h", "1h1ns", "8760h", "2562047h47m16s854ms775us807ns"])
    func writtenDurations(text: String) throws {
        let interval = try #require(DurationText.parse(text))
        #expect(DurationText.format(interval) == text)
    }

    @Test(
        "A size is one whole number and one unit",
        arguments: [
            ("512KiB", 524_288), ("1MiB", 1_048_576), ("0B", 0), ("2GiB", 2_147_483_648), ("7B", 7),
            ("1KB", nil), ("1kib", nil), ("1", nil), ("", nil), ("KiB", nil), ("1KiB1B", nil), ("-1B", nil),
            ("1 KiB", nil), ("8589934592GiB", nil), ("9223372036854775808B", nil),
        ] as [(String, Int?)])
    func sizes(text: String, expected: Int?) {
        #expect(SizeText.parse(text) == expected)
    }

    @Test(
        "A size is written in the largest unit that divides it", arguments: ["512KiB", "1MiB", "3GiB", "1025B", "0B"])
    func writtenSizes(text: String) throws {
        let bytes = try #require(SizeText.parse(text))
        #expect(SizeText.format(bytes) == text)
    }
}
