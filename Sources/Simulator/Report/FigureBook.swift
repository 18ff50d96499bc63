// SPDX-License-Identifier: Apache-2.0
// Owns the figures as they are collected during a simulation.

import ClusterTypes
import StoreCore

/// Counts and samples; everything is bounded, and nothing here is read by the simulated nodes.
package struct FigureBook: Sendable {
    /// How the end of one process was noticed.
    package struct Detection: Sendable {
        package var node: Int
        package var cause: String
        package var at: Interval
        /// Nodes that ran when it happened, the victim aside.
        package var survivors: Int
        package var samples = Samples()
        fileprivate var seen: [Bool]
    }

    /// How long after a partition healed all running nodes agreed again.
    package struct Healing: Sendable {
        package var at: Interval
        /// nil: not before the end.
        package var took: Interval?
    }

    /// Traffic over a window, of all nodes.
    package struct Window: Sendable {
        package var from: Interval
        package var length: Interval
        package var traffic: Traffic
        package var isIdle: Bool
    }

    private struct WriteKey: Hashable {
        var key: String
        var version: Version
    }

    static let writesMax = 50_000
    static let detectionsMax = 1_000

    private let nodes: Int
    private var awaited = 0
    private var started = 0
    private var lastStart = Instant.origin
    /// From the last first start until everybody knew everybody.
    package private(set) var formation: Interval?

    package private(set) var detections: [Detection] = []
    private var openDetections: [Int?]
    package private(set) var healings: [Healing] = []

    private var submitted: [[String: Instant]]
    private var writeStarts: [WriteKey: Instant] = [:]
    package private(set) var writes = Samples()
    package private(set) var writeCount = 0
    /// Pairs of a write and another node that ran when it was made.
    package private(set) var writePairs = 0

    /// The first of the writes and of the member updates, one by one.
    package private(set) var curves: [SpreadCurve] = []
    private var writeCurves: [WriteKey: Int] = [:]
    private var updateCurves: [Int?]
    package var copies: CopyCount

    private var updateStarts: [Instant?]
    package private(set) var updates = Samples()

    private var windowStart: (at: Instant, traffic: Traffic)?
    package private(set) var idleWindow: Window?

    package var suspicions = 0
    package var refutations = 0
    package var failureEvents = 0
    package var syncs = 0
    package var rowsSynced = 0
    package var packetsIgnored = 0
    package var commandsRefused = 0
    package var datagramsLost = 0
    package var datagramsCut = 0
    package var datagramsDamaged = 0
    package var damagedDecoded = 0
    package var socketDrops = 0
    package var invariantChecks = 0

    package init(nodes: Int) {
        self.nodes = nodes
        copies = CopyCount(nodes: nodes)
        openDetections = Array(repeating: nil, count: nodes)
        submitted = Array(repeating: [:], count: nodes)
        updateStarts = Array(repeating: nil, count: nodes)
        updateCurves = Array(repeating: nil, count: nodes)
    }

    /// The place of a new curve; nil when there are enough.
    private mutating func beginCurve(_ kind: SpreadCurve.Kind, at start: Instant) -> Int? {
        guard curves.count(where: { $0.kind == kind }) < SpreadCurve.keptMax else { return nil }
        curves.append(SpreadCurve(kind: kind, at: start - .origin))
        return curves.count - 1
    }

    // MARK: - Formation

    mutating func awaitFormation(of count: Int, lastStart: Instant) {
        awaited = count
        self.lastStart = lastStart
    }

    mutating func started(_ node: Int, isFirst: Bool, at now: Instant) {
        if isFirst, started < awaited { started += 1 }
        openDetections[node] = nil
        // Later starts are updates whose way to the others is measured.
        if formation != nil { updateBegins(node, at: now) }
    }

    /// Everybody knows everybody now; returns the formation time the first time that this is so.
    mutating func formed(at now: Instant) -> Interval? {
        guard formation == nil, started == awaited, now >= lastStart else { return nil }
        formation = now - lastStart
        return formation
    }

    // MARK: - Detection

    mutating func ended(_ node: Int, cause: String, running: Int, at now: Instant) {
        guard detections.count < Self.detectionsMax else { return }
        openDetections[node] = detections.count
        detections.append(
            Detection(
                node: node, cause: cause, at: now - .origin, survivors: running,
                seen: Array(repeating: false, count: nodes)))
    }

    /// `observer` calls `subject` failed or left; returns the detection when this was its last survivor.
    mutating func departed(_ subject: Int, by observer: Int, at now: Instant) -> Detection? {
        guard let index = openDetections[subject], !detections[index].seen[observer] else { return nil }
        detections[index].seen[observer] = true
        detections[index].samples.add(now - .origin - detections[index].at)
        return detections[index].samples.offered == detections[index].survivors ? detections[index] : nil
    }

    // MARK: - Dissemination

    mutating func submit(key: String, node: Int, at now: Instant) { submitted[node][key] = now }

    /// `node` told its watchers of a version of `key`; `isAuthor` when it wrote it itself. What a process learns that
    /// was started after the write is catching up, not dissemination.
    mutating func changed(
        key: String, version: Version, node: Int, isAuthor: Bool, isRunningSince: Instant, running: Int, at now: Instant
    ) {
        let write = WriteKey(key: key, version: version)
        if let start = writeStarts[write] {
            if !isAuthor, isRunningSince <= start {
                writes.add(now - start)
                if let curve = writeCurves[write] { curves[curve].arrivals.add(now - start) }
            }
        } else if isAuthor, writeStarts.count < Self.writesMax {
            let start = submitted[node].removeValue(forKey: key) ?? now
            writeStarts[write] = start
            if let curve = beginCurve(.write, at: start) { writeCurves[write] = curve }
            writeCount += 1
            writePairs += running - 1
        }
    }

    mutating func updateBegins(_ node: Int, at now: Instant) {
        updateStarts[node] = now
        updateCurves[node] = beginCurve(.update, at: now)
    }

    /// `node` tells something about itself anew; another node has just learned it.
    mutating func updateSeen(of node: Int, at now: Instant) {
        guard let start = updateStarts[node] else { return }
        updates.add(now - start)
        if let curve = updateCurves[node] { curves[curve].arrivals.add(now - start) }
    }

    // MARK: - Healing and traffic

    mutating func healed(at now: Instant) { healings.append(Healing(at: now - .origin)) }

    mutating func agreed(since: Instant, at now: Instant) {
        for index in healings.indices where healings[index].at == since - .origin && healings[index].took == nil {
            healings[index].took = now - since
        }
    }

    mutating func beginWindow(traffic: Traffic, at now: Instant) { windowStart = (now, traffic) }

    mutating func endWindow(traffic: Traffic, at now: Instant) {
        guard let start = windowStart else { return }
        windowStart = nil
        idleWindow = Window(
            from: start.at - .origin, length: now - start.at, traffic: traffic - start.traffic, isIdle: true)
    }
}
