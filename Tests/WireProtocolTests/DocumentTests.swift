// SPDX-License-Identifier: Apache-2.0
// Owns the agreement between Docs/protocol.md and the code.

import ClusterTypes
import FoundationEssentials
import NodeKernel
import StoreCore
import Testing
import WireProtocol

@Suite("Docs/protocol.md")
struct DocumentTests {
    static func document() throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try String(contentsOfFile: "/" + root + "/Docs/protocol.md", encoding: .utf8)
    }

    /// The examples: what stands in code blocks, without spaces and line ends.
    static func examples() throws -> String {
        let parts = try document().components(separatedBy: "```")
        return stride(from: 1, to: parts.count, by: 2).map { parts[$0].filter { !$0.isWhitespace } }.joined(
            separator: " ")
    }

    @Test("The page shows every golden vector", arguments: Golden.all)
    func vectors(_ golden: Golden) throws {
        let digits = golden.hex.filter { !$0.isWhitespace }
        #expect(try Self.examples().contains(digits))
    }

    @Test("The page shows the header, names the version and every refusal")
    func names() throws {
        let document = try Self.document()
        #expect(try Self.examples().contains(Golden.headerHex.filter { !$0.isWhitespace }))
        #expect(document.contains("# The wire protocol, version \(ProtocolVersion.major).\(ProtocolVersion.minor)"))
        for failure in DecodeFailure.allCases { #expect(document.contains("| `\(failure.name)` |")) }
    }

    @Test("The page gives the bounds that the code enforces")
    func bounds() throws {
        let document = try Self.document().filter { !$0.isWhitespace }
        let sentences = [
            "name:text,1to\(Bounds.nameBytesMax)bytes",
            "numberoftags:varint,atmost\(Bounds.tagsMax)|",
            "eachtag:name(text,1to\(Bounds.tagNameBytesMax)bytes)",
            "key:text,1to\(Bounds.keyBytesMax)bytes",
            "thevalue:bytes,atmost\(Bounds.valueBytesMax)|",
            "element:bytes,atmost\(Bounds.elementBytesMax).",
            "whoaskedforit:text,1to\(Bounds.userBytesMax)bytes",
            "thereason:text,1to\(Bounds.reasonBytesMax)bytes",
            "numberofdots:varint,atmost\(WireLayout.confirmDotsMax)|",
            "actorstofold:varint,atmost\(WireLayout.collectFoldsMax)|",
            "foldedactors:varint,atmost\(CollectionFloor.foldedMax)|",
            "name:text,1to\(Bounds.userEventNameBytesMax)bytes,ofASCIIletters",
            "payload:bytes,atmost\(Bounds.userEventPayloadBytesMax)|",
            "numberofmarks:varint,atmost\(UserEventExchange.marksMax)|",
            "numberofranges:varint,atmost\(WireLayout.rangesMax)|",
            "takeatmost\(WireLayout.rangeEndBytesMax)byteswrittenout",
            "thefirst\(WireLayout.rowsNamedMax)actors",
            "together,atmost\(WireLayout.rowsLeftOutMax)bytes",
            "numberofversions:varint,atmost\(Bounds.rowActorsMax)|",
            "numberofrows:varint,atmost\(Bounds.membersMax)|",
            "islargerthan\(Bounds.frameBytesMax)bytes",
            "morethan\(Bounds.messagesPerPacketMax)messages",
            "lowest\(WireLayout.contextCloudMax)singleevents",
            "u32:\(WireLayout.headerBytes)to\(Bounds.frameBytesMax).",
            "lengthofthering:varint,atmost\(WireLayout.keyRingBytesMax)|",
            "allnamesandvaluestogethertakeatmost\(Bounds.tagBytesMax)bytes",
        ]
        for sentence in sentences { #expect(document.contains(sentence), "\(sentence)") }
    }
}
