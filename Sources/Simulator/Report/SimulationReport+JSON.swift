// SPDX-License-Identifier: Apache-2.0
// Owns the report as JSON; names are stable, units are at their end.

import ClusterTypes

extension SimulationReport {
    package var json: JSONText {
        .object([
            ("scenario", .string(scenario)), ("nodes", .integer(nodes)), ("seed", .string(String(seed))),
            ("duration_seconds", .seconds(duration)), ("ok", .bool(isOK)),
            ("failures", .array(failures.map { .string($0) })),
            ("formation_seconds", .seconds(figures.formation)),
            ("detections", .array(figures.detections.map(Self.json))),
            (
                "writes",
                Self.json(
                    figures.writes.summary,
                    [
                        ("writes", .integer(figures.writeCount)), ("expected", .integer(figures.writePairs)),
                    ])
            ),
            ("member_updates", Self.json(figures.updates.summary, [])),
            (
                "copies_received",
                .object([
                    ("row", Self.json(figures.copies.rows(among: running))),
                    ("user_event", Self.json(figures.copies.events(among: running))),
                    ("member_update", Self.json(figures.copies.updates(among: running))),
                ])
            ),
            (
                "healings",
                .array(
                    figures.healings.map {
                        .object([("at_seconds", .seconds($0.at)), ("took_seconds", .seconds($0.took))])
                    })
            ),
            ("traffic", json(window)),
            ("traffic_whole_run", json(wholeRun)),
            (
                "datagrams_dropped",
                .object([
                    ("lost", .integer(figures.datagramsLost)), ("cut", .integer(figures.datagramsCut)),
                    ("damaged", .integer(figures.datagramsDamaged)), ("sockets_full", .integer(figures.socketDrops)),
                ])
            ),
            ("false_failures", .integer(falseFailures)), ("falsely_failed_nodes", .integer(falselyFailed)),
            ("suspicions", .integer(figures.suspicions)), ("refutations", .integer(figures.refutations)),
            ("synchronisations", .integer(figures.syncs)),
            ("running", .integer(running)), ("keys", .integer(keys)),
            (
                "roots",
                .array(
                    roots.map {
                        .object([("root", .string($0.root.description)), ("nodes", .integer($0.nodes))])
                    })
            ),
            (
                "checks",
                .object([
                    ("dots", .integer(dots)), ("rows", .integer(rowsChecked)), ("row_states", .integer(statesChecked)),
                    ("commands", .integer(commands)), ("replies", .integer(replies)),
                    ("acknowledged_writes", .integer(acknowledged)), ("transaction_looks", .integer(transactionLooks)),
                    ("user_events", .integer(userEventsSent)),
                    ("user_event_deliveries", .integer(userEventsDelivered)),
                    ("user_event_deliveries_due", .integer(userEventsDue)),
                    ("invariants", .integer(figures.invariantChecks)),
                    ("expectations", .integer(expectations)), ("expectations_met", .integer(expectationsMet)),
                ])
            ),
            ("strict", strict?.json ?? .null),
            ("events", .integer(eventsHandled)),
            (
                "story",
                .array(
                    story.map {
                        .object([("at_seconds", .seconds($0.at)), ("text", .string($0.text))])
                    })
            ),
        ])
    }

    static func json(_ copies: CopyCount.Summary?) -> JSONText {
        copies.map {
            .object([("mean", .decimal($0.mean)), ("median", .integer($0.median)), ("p99", .integer($0.p99))])
        } ?? .null
    }

    private static func json(_ detection: FigureBook.Detection) -> JSONText {
        json(
            detection.samples.summary,
            [
                ("node", .string("n\(detection.node + 1)")), ("cause", .string(detection.cause)),
                ("at_seconds", .seconds(detection.at)), ("survivors", .integer(detection.survivors)),
            ])
    }

    private static func json(_ times: Samples.Summary?, _ fields: [(String, JSONText)]) -> JSONText {
        .object(
            fields + [
                ("count", .integer(times?.count ?? 0)), ("first_seconds", .seconds(times?.first)),
                ("median_seconds", .seconds(times?.median)), ("p99_seconds", .seconds(times?.p99)),
                ("last_seconds", .seconds(times?.last)),
            ])
    }

    private func json(_ window: FigureBook.Window) -> JSONText {
        let seconds = window.length.seconds
        func rate(_ count: Int) -> JSONText { .decimal(seconds > 0 ? Double(count) / Double(nodes) / seconds : 0) }
        return .object([
            ("idle", .bool(window.isIdle)), ("from_seconds", .seconds(window.from)),
            ("length_seconds", .seconds(window.length)),
            ("datagrams", .integer(window.traffic.datagrams)),
            ("datagram_payload_bytes", .integer(window.traffic.datagramBytes)),
            ("messages", .integer(window.traffic.messages)), ("streams", .integer(window.traffic.streamsOpened)),
            ("stream_frames", .integer(window.traffic.streamFrames)),
            ("stream_bytes", .integer(window.traffic.streamBytes)),
            ("datagrams_per_node_second", rate(window.traffic.datagrams)),
            ("datagram_payload_bytes_per_node_second", rate(window.traffic.datagramBytes)),
            ("messages_per_node_second", rate(window.traffic.messages)),
            ("stream_bytes_per_node_second", rate(window.traffic.streamBytes)),
        ])
    }
}
