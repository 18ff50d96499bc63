// SPDX-License-Identifier: Apache-2.0
// Owns the tests of event cursors on a real daemon: no gap while it lives, and a plain word when it was started anew.

import AdminClient
import AdminModel
import Testing

extension ProcessTests {
    @Suite("Cursors of events")
    struct EventCursorTests {
        private func events(_ daemon: DaemonProcess, since cursor: String) async throws -> [JSONValue] {
            let outcome = try await daemon.gossipctl("--output", "json", "events", "--since", cursor)
            guard outcome.status == 0 else { throw Trouble("events since \(cursor): \(outcome.errors)") }
            return try outcome.output.split(separator: "\n").map { try AdminJSON.decode(JSONValue.self, from: $0.utf8) }
        }

        private func cursor(_ event: JSONValue) throws -> String {
            guard case .string(let cursor)? = event["cursor"] else { throw Trouble("no cursor in \(event)") }
            return cursor
        }

        @Test("from every cursor the rest comes exactly once, in order; after a restart a cursor says resync")
        func restart() async throws {
            try await Arena.with { arena in
                let daemon = try await DaemonProcess.start(try DaemonOptions("n1"), in: arena)
                for number in 1...5 { _ = try await daemon.client.changeTags(set: ["n": "\(number)"]) }
                let all = try await events(daemon, since: "start")
                #expect(all.count >= 5, "five changes: \(all)")
                for (index, event) in all.enumerated() {
                    #expect(try await events(daemon, since: try cursor(event)) == Array(all[(index + 1)...]))
                }

                // Whoever was following comes back with the last cursor it saw; another start counts anew.
                let last = try cursor(try #require(all.last))
                let earlier = try cursor(all[0])
                #expect(try await daemon.terminate() == 0)
                let again = try await DaemonProcess.start(daemon.options, in: arena)
                for old in [last, earlier] {
                    for arguments in [["events", "--since", old], ["events", "--follow", "--since", old]] {
                        let outcome = try await arena.run(
                            try Programs.gossipctl(), ["--socket", again.socket] + arguments)
                        #expect(outcome.status == 4, "\(outcome)")
                        #expect(outcome.errors.contains("no longer held"), "\(outcome.errors)")
                        #expect(outcome.output.isEmpty, "nothing that looks like a continuation: \(outcome.output)")
                    }
                }
                for number in 6...8 { _ = try await again.client.changeTags(set: ["n": "\(number)"]) }
                // What the word asks for: the present state, then everything of this start, without a hole in its numbers.
                let fresh = try await events(again, since: "start")
                try #require(fresh.count >= 3)
                let numbers = try fresh.map { try #require(UInt64(try cursor($0).split(separator: "-").last ?? "")) }
                #expect(numbers == Array(1...UInt64(numbers.count)))
                #expect(Set(try fresh.map(cursor)).isDisjoint(with: Set(try all.map(cursor))))
            }
        }
    }
}
