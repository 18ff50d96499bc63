// SPDX-License-Identifier: Apache-2.0
// Owns the tests of when files are rendered, in virtual time.

import Delivery
import Testing

@Suite("The schedule of delivery")
struct ScheduleTests {
    private static let nginx = RenderSpec.Reload.unit("nginx.service")

    /// Files `a`, `b` of nginx, `c` of another unit, `d` without a reload; all wait 200 ms to 5 s.
    private static func schedule() -> DeliverySchedule {
        var schedule = DeliverySchedule()
        func timing(_ reload: RenderSpec.Reload?) -> DeliverySchedule.Timing {
            .init(waitMin: .milliseconds(200), waitMax: .seconds(5), reload: reload)
        }
        schedule.replace([
            "a": timing(nginx), "b": timing(nginx), "c": timing(.unit("haproxy.service")), "d": timing(nil),
        ])
        return schedule
    }

    private static func ms(_ number: Int) -> Duration { .milliseconds(number) }

    /// The names of the batches that are due, all of which end at once.
    private static func take(_ schedule: inout DeliverySchedule, _ now: Duration) -> [String] {
        let batches = schedule.due(now)
        for batch in batches { schedule.finish(batch) }
        return batches.flatMap(\.names).sorted()
    }

    @Test("Nothing is due and nobody wakes before something changed")
    func idle() {
        var schedule = Self.schedule()
        #expect(schedule.nextWake == nil)
        #expect(Self.take(&schedule, .seconds(1_000_000)) == [])
    }

    @Test("A file is due when its inputs have been quiet for the shorter wait")
    func quiet() {
        var schedule = Self.schedule()
        schedule.dirty(["a"], now: Self.ms(1_000))
        #expect(schedule.nextWake == Self.ms(1_200))
        #expect(schedule.isPending("a"))
        #expect(Self.take(&schedule, Self.ms(1_199)) == [])
        #expect(Self.take(&schedule, Self.ms(1_200)) == ["a"])
        #expect(!schedule.isPending("a"))
        #expect(Self.take(&schedule, Self.ms(1_200)) == [])
        #expect(schedule.nextWake == nil)
    }

    @Test("Each further change puts the file off, but not beyond the longer wait since the first one")
    func restless() {
        var schedule = Self.schedule()
        for time in stride(from: 0, through: 4_900, by: 100) {
            #expect(Self.take(&schedule, Self.ms(time)) == [], "at \(time) ms")
            schedule.dirty(["a"], now: Self.ms(time))
        }
        #expect(schedule.nextWake == Self.ms(5_000))
        #expect(Self.take(&schedule, Self.ms(4_999)) == [])
        #expect(Self.take(&schedule, Self.ms(5_000)) == ["a"])
        // The next change begins both waits anew.
        schedule.dirty(["a"], now: Self.ms(5_050))
        #expect(schedule.nextWake == Self.ms(5_250))
    }

    @Test("A due file takes along the changed ones that share its reload, and no others")
    func shared() {
        var schedule = Self.schedule()
        schedule.dirty(["a"], now: Self.ms(0))
        schedule.dirty(["b", "c", "d"], now: Self.ms(150))
        #expect(Self.take(&schedule, Self.ms(200)) == ["a", "b"])
        #expect(schedule.nextWake == Self.ms(350))
        #expect(Self.take(&schedule, Self.ms(350)) == ["c", "d"])
    }

    @Test("Files without a reload do not take each other along")
    func noReload() {
        var schedule = DeliverySchedule()
        let timing = DeliverySchedule.Timing(waitMin: .milliseconds(200), waitMax: .seconds(5))
        schedule.replace(["x": timing, "y": timing])
        schedule.dirty(["x"], now: Self.ms(0))
        schedule.dirty(["y"], now: Self.ms(100))
        #expect(Self.take(&schedule, Self.ms(200)) == ["x"])
        #expect(Self.take(&schedule, Self.ms(300)) == ["y"])
    }

    @Test("A file that is unchanged is not taken along")
    func unchanged() {
        var schedule = Self.schedule()
        schedule.dirty(["a"], now: .zero)
        #expect(Self.take(&schedule, .seconds(1)) == ["a"])
    }

    @Test("Fifty changes of one import make one batch")
    func burst() {
        var schedule = Self.schedule()
        for _ in 0..<50 { schedule.dirty(["a", "b"], now: Self.ms(10)) }
        #expect(Self.take(&schedule, Self.ms(210)) == ["a", "b"])
        #expect(schedule.nextWake == nil)
    }

    @Test("Failures are tried again after 5 s, doubled up to 5 min, and a success begins anew")
    func backoff() {
        var schedule = Self.schedule()
        var now = Duration.zero
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300, 300] {
            schedule.failed("a", now: now)
            #expect(schedule.retry(of: "a") == now + .seconds(seconds))
            #expect(Self.take(&schedule, now + .seconds(seconds) - Self.ms(1)) == [])
            now += .seconds(seconds)
            #expect(Self.take(&schedule, now) == ["a"])
        }
        schedule.succeeded("a")
        schedule.failed("a", now: now)
        #expect(schedule.retry(of: "a") == now + .seconds(5))
    }

    @Test("What disturbs others when tried is tried rarely from the start")
    func longPatience() {
        var schedule = Self.schedule()
        schedule.failed("a", now: .zero, .long)
        #expect(schedule.nextWake == .seconds(300))
    }

    @Test("A change is tried when it is quiet, whatever the next try of the failure is")
    func changeBeatsRetry() {
        var schedule = Self.schedule()
        schedule.failed("a", now: .zero, .long)
        schedule.dirty(["a"], now: .seconds(10))
        #expect(Self.take(&schedule, .seconds(10) + Self.ms(200)) == ["a"])
        #expect(schedule.nextWake == nil)
    }

    @Test("A file that waits for its next try is not taken along by others")
    func retryStaysAlone() {
        var schedule = Self.schedule()
        schedule.failed("a", now: .zero)
        schedule.dirty(["b"], now: .zero)
        #expect(Self.take(&schedule, .seconds(1)) == ["b"])
        #expect(Self.take(&schedule, .seconds(5)) == ["a"])
    }

    @Test("A file that is no longer there is forgotten, one that stays keeps its time")
    func replaced() {
        var schedule = Self.schedule()
        schedule.dirty(["a", "c"], now: .zero)
        schedule.failed("d", now: .zero)
        schedule.replace(["c": .init(waitMin: .seconds(1), waitMax: .seconds(5))])
        schedule.dirty(["a"], now: .zero)
        #expect(schedule.nextWake == .seconds(1))
        #expect(Self.take(&schedule, .seconds(600)) == ["c"])
        schedule.failed("a", now: .zero)
        #expect(schedule.nextWake == nil)
    }

    @Test("A longer wait below the shorter one does not hasten")
    func oddWaits() {
        var schedule = DeliverySchedule()
        schedule.replace(["a": .init(waitMin: .seconds(2), waitMax: .seconds(1))])
        schedule.dirty(["a"], now: .zero)
        #expect(Self.take(&schedule, .seconds(1)) == [])
        #expect(Self.take(&schedule, .seconds(2)) == ["a"])
    }

    @Test("What is taken by hand is neither due nor waiting")
    func taken() {
        var schedule = Self.schedule()
        schedule.dirty(["a"], now: .zero)
        schedule.failed("b", now: .zero)
        for batch in schedule.batches(of: ["b", "a", "unknown"]) {
            #expect(batch.names == ["a", "b"])
            schedule.begin(batch)
            schedule.finish(batch)
        }
        #expect(schedule.nextWake == nil)
    }

    // MARK: Batches under way

    @Test("Files that share a reload are one batch, and each other file is one of its own")
    func lanes() {
        var schedule = Self.schedule()
        schedule.dirty(["d", "b"], now: .zero)
        schedule.dirty(["a", "c"], now: Self.ms(1))
        #expect(schedule.due(.seconds(1)).map(\.names) == [["a", "b"], ["d"], ["c"]])
    }

    @Test("What shares a reload with a batch under way waits for its end, and nobody is woken for it before")
    func lane() throws {
        var schedule = Self.schedule()
        schedule.dirty(["a"], now: .zero)
        let batch = try #require(schedule.due(Self.ms(200)).first)
        schedule.dirty(["a", "b", "c"], now: Self.ms(300))
        #expect(schedule.isPending("a"))
        #expect(schedule.due(.seconds(60)).map(\.names) == [["c"]])
        #expect(schedule.nextWake == nil)
        schedule.finish(batch)
        #expect(schedule.nextWake == Self.ms(500))
        #expect(schedule.due(.seconds(60)).map(\.names) == [["a", "b"]])
    }

    @Test("A file is pending until its batch has ended")
    func pending() throws {
        var schedule = Self.schedule()
        schedule.dirty(["a"], now: .zero)
        let batch = try #require(schedule.due(.seconds(1)).first)
        #expect(schedule.isPending("a") && !schedule.isPending("b"))
        schedule.finish(batch)
        #expect(!schedule.isPending("a"))
    }

    @Test("A file that gets another reload while it is under way is not begun twice")
    func moved() throws {
        var schedule = Self.schedule()
        schedule.dirty(["a"], now: .zero)
        let batch = try #require(schedule.due(.seconds(1)).first)
        schedule.replace(["a": .init(waitMin: .zero, waitMax: .zero, reload: .unit("other.service"))])
        schedule.dirty(["a"], now: .seconds(1))
        #expect(schedule.due(.seconds(1)) == [])
        #expect(schedule.batches(of: ["a"]).allSatisfy { !schedule.canBegin($0) })
        schedule.finish(batch)
        #expect(schedule.due(.seconds(1)).map(\.lane) == [.reload(.unit("other.service"))])
    }

    @Test("So many batches are under way at once and no more; who has waited longest is next")
    func bound() {
        var schedule = DeliverySchedule()
        let names = (10..<30).map { "f\($0)" }
        let timing = DeliverySchedule.Timing(waitMin: .zero, waitMax: .zero)
        schedule.replace(Dictionary(uniqueKeysWithValues: names.map { ($0, timing) }))
        schedule.dirty(["f29"], now: .zero)
        schedule.dirty(names, now: .seconds(1))
        let begun = schedule.due(.seconds(2))
        #expect(begun.flatMap(\.names) == ["f29"] + names.prefix(DeliverySchedule.batchesMax - 1))
        #expect(schedule.due(.seconds(2)) == [])
        #expect(schedule.nextWake == nil)
        schedule.finish(begun[0])
        #expect(schedule.due(.seconds(2)).map(\.names) == [["f17"]])
    }

    // MARK: Retries of others, and of what has changed

    @Test("A success hastens the next try of those that share its reload, and of no others")
    func hastened() throws {
        var schedule = Self.schedule()
        for name in ["a", "b", "c"] { schedule.failed(name, now: .zero, .long) }
        let batch = try #require(schedule.batches(of: ["a"]).first)
        schedule.hasten(batch, now: .seconds(10))
        #expect(schedule.retry(of: "a") == .seconds(300))
        #expect(schedule.retry(of: "b") == .seconds(15))
        #expect(schedule.retry(of: "c") == .seconds(300))
        schedule.hasten(batch, now: .seconds(14))
        #expect(schedule.retry(of: "b") == .seconds(15))
    }

    @Test("After a change the next failure is a first one; a mere look changes nothing", arguments: [true, false])
    func renewed(isNews: Bool) {
        var schedule = Self.schedule()
        for _ in 0..<4 { schedule.failed("a", now: .zero) }
        schedule.dirty(["a"], now: .zero, isNews: isNews)
        #expect(Self.take(&schedule, .seconds(1)) == ["a"])
        schedule.failed("a", now: .seconds(1))
        #expect(schedule.retry(of: "a") == .seconds(isNews ? 6 : 81))
    }
}
