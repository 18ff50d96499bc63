// SPDX-License-Identifier: Apache-2.0
// Owns what is read from files of calls, and the verdicts on a right one and on wrong ones.

import Linearizability
import Testing

@testable import gossipsim

@Suite("Files of calls")
struct HistoryFileTests {
    private func verdict(_ text: String) throws -> HistoryVerdict {
        var checker = HistoryChecker()
        checker.versions = .ascending
        return checker.check(try HistoryFile.calls(text.utf8))
    }

    private static let right = """
        {"client":1,"begin":0,"end":10,"outcome":"ok","operation":"put","key":"s/a","value":"1","version":4}
        {"client":2,"begin":5,"end":20,"outcome":"ok","operation":"get","key":"s/a","value":"1","version":4}
        {"client":1,"begin":30,"outcome":"unknown","operation":"put","key":"s/a","value":"2"}

        {"client":3,"begin":40,"end":41,"outcome":"fail","operation":"put","key":"s/a","value":"nothing"}
        {"client":2,"begin":50,"end":60,"outcome":"ok","operation":"get","key":"s/a","value":"2","version":9}
        {"client":1,"begin":70,"end":80,"outcome":"ok","operation":"compare_and_set","key":"s/a","value":"3",\
        "compare":[{"key":"s/a","version":9}],"succeeded":true,"version":12}
        {"client":2,"begin":70,"end":90,"outcome":"ok","operation":"compare_and_set","key":"s/a","value":"4",\
        "compare":[{"key":"s/a","version":9}],"succeeded":false}
        {"client":1,"begin":100,"end":110,"outcome":"ok","operation":"transaction","compare":[{"key":"s/a","value":"3"},\
        {"key":"s/b","exists":false}],"then":[{"operation":"get","key":"s/a"},{"operation":"put","key":"s/b","value":"x"}],\
        "else":[{"operation":"get","key":"s/b"}],"succeeded":true,"results":[{"value":"3","version":12},{"version":20}]}
        {"client":1,"begin":120,"end":130,"outcome":"ok","operation":"delete","key":"s/a","existed":true}
        {"client":1,"begin":140,"end":150,"outcome":"ok","operation":"get","key":"s/a","value":null}
        {"client":1,"begin":160,"end":170,"outcome":"ok","operation":"increment","key":"s/n","number":1}

        """

    @Test("a right one is read whole and judged right")
    func isRight() throws {
        let calls = try HistoryFile.calls(Self.right.utf8)
        #expect(calls.count == 10)
        #expect(
            calls[0] == HistoryCall(client: 1, invoked: 0, returned: 10, .put("s/a", "1"), .written(version: 4)))
        #expect(calls[2] == HistoryCall(client: 1, invoked: 30, returned: nil, .put("s/a", "2")))
        #expect(
            calls[6]
                == HistoryCall(
                    client: 1, invoked: 100, returned: 110,
                    .transaction(
                        [.value("s/a", "3"), .exists("s/b", false)], then: [.get("s/a"), .put("s/b", "x")],
                        otherwise: [.get("s/b")]),
                    .branch(succeeded: true, [.found("3", version: 12), .written(version: 20)])))
        #expect(calls[8].observation == .found(nil))
        #expect(try verdict(Self.right) == .linearizable)
    }

    @Test("one with a stale read is judged wrong, by the two calls that show it")
    func isWrong() throws {
        let stale = """
            {"client":7,"begin":95,"end":96,"outcome":"ok","operation":"get","key":"s/a","value":"2","version":9}
            """
        let verdict = try verdict(Self.right + stale)
        #expect(
            verdict.description == """
                s/a: not linearizable between 0.000000 s and 0.000000 s. No order of these calls explains their answers:
                  client 1  [0.000000 s - 0.000000 s]  if s/a has version 9 put s/a = 3 -> held {version 12}
                  client 7  [0.000000 s - 0.000000 s]  get s/a -> 2, version 9
                """)
    }

    private static let locks = """

        {"client":1,"begin":0,"end":10,"outcome":"ok","operation":"acquire","key":"l","owner":7,"token":12}
        {"client":2,"begin":5,"end":20,"outcome":"ok","operation":"acquire","key":"l","owner":9,"busy":true}
        {"client":1,"begin":20,"end":30,"outcome":"ok","operation":"transaction","compare":[{"lock":"l","token":12}],\
        "then":[{"operation":"put","key":"s/f","value":"12"}],"else":[],"succeeded":true,"results":[{"version":15}]}
        {"client":1,"begin":30,"outcome":"unknown","operation":"release","key":"l","owner":7}
        {"client":2,"begin":35,"end":50,"outcome":"ok","operation":"acquire","key":"l","owner":9,"token":22}
        {"client":2,"begin":60,"end":70,"outcome":"ok","operation":"release","key":"l","owner":9,"existed":true}

        """

    @Test("locks are read whole, and a holder that writes too late is found")
    func locks() throws {
        let calls = try HistoryFile.calls(Self.locks.utf8)
        #expect(calls.count == 6)
        #expect(calls[0].operation == .acquire("l", owner: 7) && calls[0].observation == .locked(token: 12))
        #expect(calls[1].observation == .busy)
        #expect(
            calls[2].operation
                == .transaction([.holds("l", token: 12)], then: [.put("s/f", "12")], otherwise: []))
        #expect(calls[5] == HistoryCall(client: 2, invoked: 60, returned: 70, .release("l", owner: 9), .existed(true)))
        #expect(try verdict(Self.locks) == .linearizable)
        let late = Self.locks.split(separator: "\n")[2]
            .replacing("\"begin\":20,\"end\":30", with: "\"begin\":55,\"end\":58")
            .replacing("15", with: "25")
        #expect(try !verdict(Self.locks + late).isLinearizable)
    }

    @Test("an acknowledged write that is lost, a delete that is undone, an answer for half of a transaction are wrong")
    func kindsOfWrong() throws {
        let lost = #"{"client":7,"begin":95,"end":96,"outcome":"ok","operation":"get","key":"s/a","value":null}"#
        let undone =
            #"{"client":7,"begin":155,"end":156,"outcome":"ok","operation":"get","key":"s/a","value":"3","version":12}"#
        let half = #"{"client":7,"begin":155,"end":156,"outcome":"ok","operation":"get","key":"s/b","value":null}"#
        for line in [lost, undone, half] {
            guard case .contradicted = try verdict(Self.right + line) else {
                Issue.record("not found: \(line)")
                continue
            }
        }
    }

    @Test(
        "a line that cannot be read is told by its number and the reason",
        arguments: [
            ("{", "line 2: this is no call: it is not valid JSON"),
            (#"{"client":1}"#, "line 2: this is no call: field \"begin\" is missing"),
            (
                #"{"client":1,"begin":0,"end":1,"outcome":"maybe","operation":"get","key":"a"}"#,
                "line 2: the outcome is ok, unknown or fail, not 'maybe'"
            ),
            (
                #"{"client":1,"begin":0,"outcome":"ok","operation":"get","key":"a"}"#,
                "line 2: a call with an answer has the field 'end'"
            ),
            (
                #"{"client":1,"begin":0,"end":1,"outcome":"ok","operation":"steal","key":"a"}"#,
                "line 2: there is no operation 'steal'"
            ),
            (
                #"{"client":1,"begin":0,"end":1,"outcome":"ok","operation":"put","key":"a"}"#,
                "line 2: a put has the field 'value'"
            ),
            (
                #"{"client":1,"begin":0,"end":1,"outcome":"ok","operation":"transaction","compare":[{"key":"a"}]}"#,
                "line 2: a condition has one of 'version', 'value' and 'exists'"
            ),
            (
                #"{"client":1,"begin":0,"end":1,"outcome":"ok","operation":"transaction","compare":[{"lock":"l"}]}"#,
                "line 2: a condition about a lock has the field 'token'"
            ),
            (
                #"{"client":1,"begin":0,"end":1,"outcome":"ok","operation":"acquire","key":"l"}"#,
                "line 2: an acquire has the field 'owner'"
            ),
            (
                #"{"client":1,"begin":0,"end":1,"outcome":"ok","operation":"transaction","succeeded":true,"results":[{}]}"#,
                "line 2: there are 1 results of 0 steps"
            ),
        ])
    func unreadable(line: String, reason: String) {
        do throws(HistoryFileFailure) {
            _ = try HistoryFile.calls("\n\(line)\n".utf8)
            Issue.record("was read: \(line)")
        } catch {
            #expect(error.description == reason)
        }
    }
}
