// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the endpoints of delivery and of the keys that clients may not write.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Testing

@Suite struct RenderTests {
    private static func file(_ name: String, _ state: RenderFileStatus.State, _ error: String? = nil)
        -> RenderFileStatus
    {
        var status = RenderFileStatus(name: name, destination: "/etc/\(name)", state: state)
        status.version = "5a1be2ac19de5a1be2ac19de5a1be2ac"
        status.appliedAt = FakeNode.start
        status.error = error
        return status
    }

    @Test func `what a node tells of its files comes through as it is`() async throws {
        try await ServerFixture.run { fixture in
            let host = RenderFleetDocument.Host(
                member: fixture.node.me, state: .alive, reportedAt: FakeNode.start,
                files: [.init(status: Self.file("a", .ok), isBehind: true)])
            fixture.node.peek {
                $0.files = [Self.file("a", .ok), Self.file("b", .rolledBack, "the reload failed")]
                $0.fleet = RenderFleetDocument(hosts: [host])
                var planned = RenderPlanDocument.File(name: "a", destination: "/etc/a", change: .changed)
                (planned.old, planned.new) = (Array("x".utf8), [0xff, 0x00])
                $0.plan = [planned]
            }
            let status = try await fixture.client.renderStatus()
            #expect(status.files == fixture.node.peek { $0.files })
            #expect(try await fixture.client.renderFleet().hosts == [host])
            #expect(try await fixture.client.renderPlan(["a"]).files == fixture.node.peek { $0.plan })
            await #expect(throws: AdminFailure.self) { try await fixture.client.renderPlan(["nope"]) }
            _ = try await fixture.client.renderApply(["b", "a", "b"])
            #expect(fixture.node.peek { $0.appliedNames } == [["a", "b"]])
        }
    }

    @Test func `plans and applications take the admin role, the status does not`() async throws {
        let readers = AccessPolicy(adminUsers: [], adminGroups: [], readUsers: [0], readGroups: [])
        try await ServerFixture.run(policy: readers) { fixture in
            _ = try await fixture.client.renderStatus()
            _ = try await fixture.client.renderFleet()
            for command in ["plan", "apply"] {
                let outcome = try await fixture.gossipctl(["render", command])
                #expect(outcome.status == 77, "\(command)")
            }
        }
    }

    @Test func `apply exits with 1 and names the file that failed; plan never fails for that`() async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek {
                $0.files = [Self.file("a", .ok), Self.file("b", .refused, "its check failed")]
                $0.plan = [.init(name: "b", change: .failed, error: "its check failed")]
            }
            let outcome = try await fixture.gossipctl(["render", "apply", "--once"])
            #expect(outcome.status == 1)
            #expect(outcome.error == "gossipctl: b: its check failed\n")
            #expect(
                outcome.output == """
                    FILE  RESULT   VERSION       DESTINATION
                    a     applied  5a1be2ac19de  /etc/a
                    b     refused  5a1be2ac19de  /etc/b
                    reloaded unit nginx.service for 2 files

                    """)
            #expect(try await fixture.gossipctl(["render", "apply", "--once", "a"]).status == 0)
            #expect(try await fixture.gossipctl(["render", "plan"]).status == 0)
            #expect(try await fixture.gossipctl(["render", "plan", "nope"]).status == 3)
            let json = try await fixture.gossipctl(["--output", "json", "render", "status"])
            #expect(json.output.contains(#""state":"refused""#))
        }
    }

    @Test(arguments: [
        ["kv", "put", ".gossipd/render/x", "v"], ["kv", "delete", ".gossipd/x"], ["set", "add", ".gossipd/s", "e"],
        ["counter", "add", ".gossipd/c", "1"],
    ])
    func `keys of the daemons cannot be written`(arguments: [String]) async throws {
        try await ServerFixture.run { fixture in
            let outcome = try await fixture.gossipctl(arguments)
            #expect(outcome.status == 64)
            #expect(outcome.error.contains("belongs to gossipd"), "\(outcome.error)")
        }
    }

    @Test func `reserved keys are shown only by a prefix that names them`() throws {
        let key = ".gossipd/render/0a"
        #expect(try KeyPrefix(".gossipd/").shows(key) && KeyPrefix(".gossipd/render/0").shows(key))
        #expect(try !KeyPrefix("").shows(key) && !KeyPrefix(".").shows(key) && !KeyPrefix(".goss").shows(key))
        #expect(try KeyPrefix("").shows(".gossipdx") && KeyPrefix("").shows("app/.gossipd/x"))
    }
}
