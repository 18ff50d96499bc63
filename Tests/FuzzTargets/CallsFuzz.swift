// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of calls over one connection: lines out of pieces, and what each line says.

import AdminModel
import AdminServer
import ClusterTypes

/// The first byte chooses where the body is cut, the second how many bytes a line may have (255: as many as the server allows).
enum CallsFuzz {
    private static let timeout = Duration.seconds(5)

    static func feed(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard bytes.count >= 2 else { return }
        let body = Array(bytes.dropFirst(2))
        let max = bytes[1] == 255 ? AdminLimits.valueBytesMax * 2 : Int(bytes[1]) * 4
        let expected = lines(of: body, bytesMax: max)
        var rng = SeededGenerator(seed: UInt64(bytes[0]))
        let takenMax = Int.random(in: 0...3, using: &rng)
        let whole = KeyCallInspection.lines([body], takenMax: body.count, lineBytesMax: max)
        try require(whole == expected, "lines are not what is between line feeds")
        let cut = KeyCallInspection.lines(pieces(body, using: &rng), takenMax: takenMax, lineBytesMax: max)
        try require(cut == expected, "other pieces give other lines")
        for line in expected.lines { try check(line) }
    }

    private static func lines(of body: [UInt8], bytesMax: Int) -> KeyCallInspection.Lines {
        var lines = body.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        if lines.last?.isEmpty == true { lines.removeLast() }
        let fitting = lines.prefix { $0.count <= bytesMax }
        return KeyCallInspection.Lines(Array(fitting), hasTooLong: fitting.count < lines.count)
    }

    private static func pieces(_ body: [UInt8], using rng: inout SeededGenerator) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = body[...]
        let sizeMax = 1 << Int.random(in: 0...10, using: &rng)
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 0...sizeMax, using: &rng))
            pieces.append(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        return pieces
    }

    /// What the quick way reads, the JSON decoder reads the same: of the line, and of the call as a program would write it.
    private static func check(_ line: [UInt8]) throws(FuzzFailure) {
        let request = try? AdminJSON.decodeRequest(KeyCallRequest.self, from: line)
        let call = try? request?.meaning(timeout: timeout)
        if let plain = KeyCallInspection.plainCall(line, timeout: timeout) {
            try require(plain == call, "the quick way reads \(plain), the JSON decoder \(String(describing: call))")
        }
        guard let request, let call else { return }
        let written = try? AdminJSON.encode(request)
        guard let written, !written.contains(UInt8(ascii: "\n")) else {
            throw FuzzFailure("a call cannot be written in one line: \(request)")
        }
        if let plain = KeyCallInspection.plainCall(written, timeout: timeout) {
            try require(plain == call, "the quick way reads \(plain) for \(call)")
        }
        let again = try? AdminJSON.decodeRequest(KeyCallRequest.self, from: written)
        try require(again == request, "a call that was read is written otherwise")
    }
}

/// Bodies of every kind of call, right and wrong.
enum CallsFuzzSeeds {
    private static let lines = [
        #"{"id":1,"put":"app/a","value":"x"}"#, #"{"id":999999999999999999,"put":"a","value":""}"#,
        #"{"id":2,"delete":"app/a","if_version":"7","message":"why"}"#,
        #"{"id":3,"get":"app/a","consistency":"linearizable"}"#,
        #"{"id":4,"put":"a","value_base64":"AAH/","ttl":"90s"}"#,
        #"{"id":5,"put":"a","value":"x","if_absent":true}"#, #" { "value" : "x\u00e9" , "put" : "a" , "id" : 6 } "#,
        #"{"id":18446744073709551615,"put":"a","value":"x"}"#, #"{"id":01,"put":"a","value":"x"}"#,
        #"{"id":7,"put":"a","value":"x","value":"y"}"#, #"{"id":8,"put":"..","value":"x"}"#, "{\"id\":9", "", " \t\r",
        "7",
    ]

    static func bodies() -> [[UInt8]] {
        let whole = Array((lines.joined(separator: "\n") + "\n").utf8)
        return lines.map { [0, 255] + Array($0.utf8) } + (1...8).map { [$0, 255] + whole }
            + [[9, 255] + whole.dropLast(), [10, 12] + whole, [11, 9] + whole.prefix(40)]
    }
}
