// SPDX-License-Identifier: Apache-2.0
// Owns what is written down in the course of a simulation for its plots.

import ClusterTypes

/// Looks at the cluster at even distances of time. Nothing here is seen by the nodes or moves an event.
package struct PlotRecorder: Sendable {
    package struct Sample: Sendable {
        package var at: Interval
        /// Over all running nodes, how many other members they regard as alive, suspect and failed.
        package var alive: Int
        package var suspect: Int
        package var failed: Int
        package var running: Int
        /// Bytes sent until then, by all.
        package var datagramBytes: Int
        package var streamBytes: Int
    }

    package static let samplesMax = 400

    let distance: Interval
    private(set) var next = Instant.origin
    package private(set) var samples: [Sample] = []

    init(duration: Interval) {
        distance = max(.milliseconds(10), duration / Self.samplesMax)
    }

    mutating func add(_ views: MembershipViews, _ traffic: Traffic) {
        let count = views.tally
        samples.append(
            Sample(
                at: next - .origin, alive: count.alive, suspect: count.suspect, failed: count.failed,
                running: views.runningCount, datagramBytes: traffic.datagramBytes, streamBytes: traffic.streamBytes))
        next = next + distance
    }
}
