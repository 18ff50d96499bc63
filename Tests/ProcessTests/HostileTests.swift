// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what strangers send: it is counted and dropped, and no daemon minds.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Hostile input")
    struct HostileTests {
        @Test("20 000 junk datagrams, junk streams and junk requests end no daemon, cost no member, and are counted")
        func junk() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let target = cluster[1]
                let malformed = try await target.metric("gossipd_packets_malformed_total") ?? 0
                let began = ContinuousClock.now
                let sent = try await sendDatagrams(20_000, to: target)
                try await eventually("most of the junk is counted", within: .seconds(20)) {
                    let counted = (try await target.metric("gossipd_packets_malformed_total") ?? 0) - malformed
                    return (counted >= Double(sent) * 0.9).orNil
                }
                try await sendStreams(1_000, to: target)
                try await sendRequests(1_000, to: target)
                report("20 000 datagrams, 1000 streams and 1000 requests of junk", began.duration(to: .now))

                try await eventually("the streams and requests are counted") {
                    let accepted = try await target.metric("gossipd_streams_accepted_total") ?? 0
                    let streams = accepted + (try await target.metric("gossipd_streams_refused_total") ?? 0)
                    let requests = try await target.metric("gossipd_admin_protocol_errors_total") ?? 0
                    return (streams >= 900 && requests >= 500).orNil
                }
                // What does not decode is told apart by reason.
                #expect(try await target.metric("gossipd_packets_rejected_total", "reason=\"magic\"") ?? 0 > 0)
                #expect(try await target.metric("gossipd_packets_rejected_total", "reason=\"short\"") ?? 0 > 0)
                try await cluster.allSeeAll()
                for daemon in cluster.daemons {
                    #expect(daemon.child.isRunning, "\(daemon.name)")
                    #expect(!daemon.log.contains { $0.event == "member_failed" }, "\(daemon.name)")
                    #expect(daemon.log.count < 500, "\(daemon.name) logged \(daemon.log.count) lines")
                }
                // It still does its work.
                let key = try ConfigurationKey("app/after")
                _ = try await target.client.put(key, value: [7])
                try await eventually("the write arrives") {
                    (try await cluster[2].client.getRaw(key) == [7]).orNil
                }
                // Sockets and descriptors of the junk are given back.
                try await eventually("nothing of it stays open") {
                    (try await target.metric("gossipd_admin_connections_open") ?? 99 <= 2).orNil
                }
            }
        }

        /// Random bytes, beginnings of packets, and packets with a broken body; at a pace that loopback carries.
        private func sendDatagrams(_ count: Int, to daemon: DaemonProcess) async throws -> Int {
            var random = Randomness(seed: 20_000)
            let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw Trouble.system("socket") }
            defer { close(descriptor) }
            var sent = 0
            for index in 0..<count {
                var bytes = random.bytes(1 + Int(random.next() % 300))
                switch index % 4 {
                case 0: break
                case 1: bytes = Array("gs".utf8) + bytes.prefix(20)
                case 2: bytes = Array("gs".utf8) + [0x10, 0] + bytes
                // Longer than any datagram of ours.
                default: if index % 400 == 3 { bytes = random.bytes(9_000) }
                }
                let result = SocketAddress.loopback(daemon.options.port) {
                    sendto(descriptor, bytes, bytes.count, 0, $0, $1)
                }
                if result == bytes.count, index % 4 < 2 { sent += 1 }
                if index % 100 == 99 { try await Task.sleep(for: .milliseconds(1)) }
            }
            return sent
        }

        private func sendStreams(_ count: Int, to daemon: DaemonProcess) async throws {
            var random = Randomness(seed: 30_000)
            for index in 0..<count {
                let connection = try RawConnection.tcp(daemon.options.port)
                switch index % 4 {
                case 0: connection.send(random.bytes(1 + Int(random.next() % 2_000)))
                // A frame that claims more than a frame may have.
                case 1: connection.send([0xff, 0xff, 0xff, 0xff] + random.bytes(100))
                // A frame that is never finished.
                case 2: connection.send([0, 0, 0x40, 0] + random.bytes(50))
                default: break
                }
                connection.close()
                if index % 20 == 19 { try await Task.sleep(for: .milliseconds(5)) }
            }
        }

        private func sendRequests(_ count: Int, to daemon: DaemonProcess) async throws {
            var random = Randomness(seed: 40_000)
            let long = String(repeating: "x", count: 100_000)
            for index in 0..<count {
                let connection = try RawConnection.unix(daemon.socket)
                switch index % 5 {
                case 0: connection.send(random.bytes(1 + Int(random.next() % 500)) + Array("\r\n\r\n".utf8))
                case 1: connection.send(Array("GET /v1/status HTTP/9.9\r\n\r\n".utf8))
                case 2: connection.send(Array("GET /v1/\(long) HTTP/1.1\r\nhost: x\r\n\r\n".utf8))
                case 3: connection.send(Array("PUT /v1/kv/a HTTP/1.1\r\ncontent-length: -5\r\n\r\n".utf8))
                default: connection.send(Array("PUT /v1/kv/a HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n".utf8))
                }
                connection.close()
                if index % 20 == 19 { try await Task.sleep(for: .milliseconds(5)) }
            }
        }
    }
}
