// SPDX-License-Identifier: Apache-2.0
// Owns the tests of /metrics on real daemons: the format, what promtool says, and that the dashboard shows what is there.

import AdminClient
import AdminModel
import Testing

extension ProcessTests {
    @Suite("Metrics")
    struct MetricsTests {
        private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

        @Test("/metrics keeps to the format and its conventions, and the dashboard shows nothing that is not there")
        func format() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(2, in: arena)
                try await eventually("a probe was answered") {
                    (try await cluster[0].metric("gossipd_probe_outcomes_total", "direct") ?? 0 > 0).orNil
                }
                let text = try await cluster[0].client.metrics()
                let document = PrometheusDocument(text)
                #expect(document.faults == [])
                #expect(document.names.count > 70)
                #expect(try await cluster[0].metric("gossipd_probe_rtt_seconds_count") ?? 0 > 0)

                let dashboard = FileText.read("\(Self.root)/Docs/grafana/gossipd.json")
                let panels = try AdminJSON.decode(JSONValue.self, from: dashboard.utf8)["panels"]?.elements ?? []
                #expect(panels.count > 15)
                var shown: Set<String> = []
                for panel in panels {
                    let expressions = panel["targets"]?.elements ?? []
                    #expect(!expressions.isEmpty)
                    for target in expressions {
                        guard case .string(let expression)? = target["expr"] else {
                            throw Trouble("no expr: \(target)")
                        }
                        let names = expression.matches(of: /\b(?:gossipd|process)_[a-z0-9_]+/).map { String($0.0) }
                        #expect(!names.isEmpty, "\(expression)")
                        shown.formUnion(names)
                    }
                }
                #expect(shown.subtracting(document.names).sorted() == [])

                guard Programs.exist("promtool") else { return print("skipped: no promtool on this host") }
                let path = "\(arena.folder)/metrics.txt"
                try FileText.write(text, to: path)
                let outcome = try await arena.run("/bin/sh", ["-c", "promtool check metrics < \(path)"])
                #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
            }
        }

        static let broken: [(String, String)] = [
            ("# HELP a_total x\n# TYPE a_total counter\na_total 1", "no end"),
            ("# HELP a x\n# TYPE a counter\na 1\n", "_total"),
            ("# HELP a_total x\n# TYPE a_total gauge\na_total 1\n", "_total"),
            ("# HELP a \n# TYPE a gauge\na 1\n", "no help"),
            ("# HELP a x\na 1\n", "without help and type"),
            ("# HELP a x\n# TYPE a gauge\n", "no sample"),
            ("# HELP a x\n# TYPE a gauge\na 1\na 2\n", "twice"),
            ("# HELP a x\n# TYPE a gauge\nb 1\n", "another's name"),
            ("# HELP a x\n# TYPE a gauge\na{x=1} 1\n", "odd labels"),
            ("# HELP a x\n# TYPE a gauge\na one\n", "no sample"),
            ("# HELP a_milliseconds x\n# TYPE a_milliseconds gauge\na_milliseconds 1\n", "base unit"),
            ("# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\na 1\n", "two places"),
            (
                "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
                "grow"
            ),
            ("# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n", "does not fit"),
        ]

        @Test("The strict reading finds what is wrong", arguments: broken)
        func faults(text: String, fault: String) {
            let faults = PrometheusDocument(text).faults
            #expect(faults.contains { $0.contains(fault) }, "\(faults)")
        }
    }
}
