// SPDX-License-Identifier: Apache-2.0
// Owns the tests of roles: who is what, what each may, and the real credentials of this process.

import AdminClient
import AdminModel
import AdminServerFixture
import Glibc
import Synchronization
import Testing

@testable import AdminServer

@Suite struct RoleTests {
    static let policy = AccessPolicy(adminUsers: [0, 500], adminGroups: [50], readUsers: [600], readGroups: [60])

    @Test(
        arguments: [
            (0, [0], Role.admin), (500, [7], .admin), (7, [7, 50], .admin), (600, [7], .read), (7, [7, 60], .read),
            (600, [50], .admin), (7, [60, 50], .admin), (7, [7], .none), (7, [], .none),
        ] as [(UInt32, [UInt32], Role)])
    func `credentials give the highest role that fits`(user: UInt32, groups: [UInt32], role: Role) {
        let peer = PeerCredentials(processID: 1, user: user, groups: Set(groups))
        #expect(Self.policy.role(of: peer) == role)
    }

    @Test func `nobody without credentials has a role`() {
        #expect(Self.policy.role(of: nil) == .none)
    }

    @Test func `a denial names the group that would allow it`() {
        let peer = PeerCredentials(processID: 1, user: 7, groups: [])
        #expect(
            Self.policy.denial(of: .admin, for: peer).message
                == "user id 7 may not change this node: run as root or a member of group gossipd")
        #expect(Self.policy.denial(of: .read, for: peer).message.contains("gossipd-read or gossipd"))
    }

    @Test func `settings resolve to the process's own user and group, root, and known names`() {
        var settings = AdminServerSettings(socketPath: "/x")
        settings.adminUsers = ["root", "4711"]
        settings.adminGroups = ["no-such-group-here"]
        settings.readGroups = ["root", "4712"]
        let policy = AccessPolicy(settings)
        #expect(policy.adminUsers == [0, 4711, geteuid()])
        #expect(policy.adminGroups == [getegid()])
        #expect(policy.readGroups == [0, 4712])
        #expect(policy.unknownNames == ["no-such-group-here"])
    }

    @Test func `the kernel tells this process's own user and groups`() async throws {
        var descriptors: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0)
        defer { for descriptor in descriptors { close(descriptor) } }
        let peer = try #require(PeerCredentials.read(descriptors[0]))
        var groups = [gid_t](repeating: 0, count: 65_536)
        let count = getgroups(Int32(groups.count), &groups)
        #expect(peer.processID == getpid())
        #expect(peer.user == geteuid())
        #expect(peer.groups == Set(groups.prefix(Int(max(count, 0)))).union([getegid()]))
    }

    @Test func `a descriptor that is no socket has no credentials`() {
        #expect(PeerCredentials.read(-1) == nil)
    }

    @Test func `this user administers by the default policy`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.put(try ConfigurationKey("k"), value: [])
        }
    }

    @Test func `a reader may look at everything and change nothing`() async throws {
        let reader = AccessPolicy(adminUsers: [], adminGroups: [], readUsers: [geteuid()], readGroups: [])
        try await ServerFixture.run(policy: reader) { fixture in
            for route in RouteTable.all.routes where route.pattern != "/v1/watch" {
                let path = route.pattern.replacing("{member}", with: "db-1").replacing("{key}", with: "k")
                    .replacing("{id}", with: "0a1b2c3d")
                let answer = try await fixture.client.send(AdminRequest(route.method.rawValue, path))
                #expect((answer.status == 403) == (route.role == .admin), "\(route.method) \(path)")
                if route.role == .admin { #expect(answer.failure.code == .denied) }
            }
            #expect(fixture.server.counters.requestsDenied == UInt64(RouteTable.all.routes.count { $0.role == .admin }))
        }
    }

    @Test func `a stranger is denied everything, even the knowledge of paths`() async throws {
        let nobody = AccessPolicy(adminUsers: [], adminGroups: [], readUsers: [], readGroups: [])
        let denials = Mutex<[AdminFailure.Code]>([])
        try await ServerFixture.run(policy: nobody, denied: { denial in denials.withLock { $0.append(denial.code) } }) {
            fixture in
            for path in ["/v1/status", "/v1/kv/a", "/metrics", "/v1/watch", "/nowhere"] {
                let answer = try await fixture.client.send(AdminRequest("GET", path))
                #expect(answer.status == 403)
                #expect(answer.failure.message.contains("group gossipd-read or gossipd"))
            }
            let write = try await fixture.client.send(
                AdminRequest("PUT", "/v1/kv/a", body: [UInt8](repeating: 0, count: 900_000)))
            #expect(write.failure.code == .denied)
        }
        #expect(denials.withLock { $0 } == Array(repeating: .denied, count: 6), "each is told to the daemon")
    }

    @Test func `every route that is not a GET changes something, but ping`() {
        for route in RouteTable.all.routes {
            let changes = route.method != .get && !route.pattern.hasSuffix("/ping")
            #expect(route.role == (changes ? .admin : .read), "\(route.method) \(route.pattern)")
        }
    }
}
