// SPDX-License-Identifier: Apache-2.0
// Owns the tests that hold equal what two modules must each know, because neither may import the other.

import AdminModel
import AdminServer
import ClusterTypes
import DaemonConfig
import NodeKernel
import SWIMCore
import Sealing
import StoreCore
import SystemdSupport
import Testing
import Transport
import WireProtocol

@testable import gossipd

@Suite("What two modules know they know alike")
struct AgreementTests {
    private func configuration(_ text: String = "") throws -> DaemonConfiguration {
        try DaemonConfiguration.parse(Array(text.utf8), file: "test", hostName: "host")
    }

    @Test("The API's bounds are those of the cluster")
    func bounds() {
        #expect(AdminLimits.keyBytesMax == Bounds.keyBytesMax)
        #expect(ReservedKeys.prefix == Bounds.reservedKeyPrefix)
        #expect(AdminLimits.valueBytesMax == Bounds.valueBytesMax)
        #expect(AdminLimits.elementBytesMax == Bounds.elementBytesMax)
        #expect(AdminLimits.tagsPerRequestMax == Bounds.tagsMax)
        #expect(AdminLimits.tagNameBytesMax == Bounds.tagNameBytesMax)
        #expect(AdminLimits.tagBytesMax == Bounds.tagBytesMax)
        #expect(AdminLimits.joinAddressesMax == ConfigurationBounds.listMax)
        #expect(AdminLimits.referenceBytesMax >= max(Bounds.nameBytesMax, 32))
    }

    @Test(
        "The API and the store take the same keys",
        arguments: [
            "", "a", "/", "a/b", "/a", "a/", "a//b", "//", "a/b/c", "é", "e\u{301}", "\u{301}", "a/\u{301}b", " ",
            "a b",
            "\u{0}", "a\nb", "\u{7f}", "\u{80}", "\u{9f}", "\u{a0}", "a\u{85}b", "\u{c2}", "\u{2028}", "😀/x", "..",
            "%2f",
            String(repeating: "k", count: 512), String(repeating: "k", count: 513),
            String(repeating: "é", count: 256), String(repeating: "é", count: 257), "\r\n", "a/\r\n/b",
        ])
    func keys(text: String) {
        let isTaken = (try? AdminModel.ConfigurationKey(text)) != nil
        #expect(isTaken == (StoreCore.ConfigurationKey.defect(of: text) == nil), "\(text.quoted)")
    }

    @Test(
        "The API and the configuration file take the same names of tags",
        arguments: [
            "", "a", "a b", "a=b", ".", "_-.", "é", "Z9", "a/b", "a\u{7f}", String(repeating: "n", count: 64),
            String(repeating: "n", count: 65),
        ])
    func tagNames(name: String) {
        let isTaken = (try? TagsRequest(set: [name: "v"]).validate()) != nil
        let isConfigured = (try? configuration("[tags]\n\"\(name)\" = \"v\"\n")) != nil
        #expect(isTaken == isConfigured, "\(name.quoted)")
        #expect(isTaken == ((try? TagsRequest(unset: [name]).validate()) != nil), "\(name.quoted)")
    }

    @Test("Who cannot forget a living member is told the ids of its dead namesakes")
    func namesakes() {
        #expect(
            AdminFailure.memberIsActive("n2", gone: ["0a", "0b"]).message
                == "member \"n2\" is alive; to forget one of that name that is gone, give its id: 0a, 0b")
        #expect(AdminFailure.memberIsActive("n2", gone: []) == AdminFailure(.memberIsActive("n2")))
    }

    @Test("They also agree on ten thousand random texts, and order the good ones alike")
    func randomKeys() throws {
        var rng = SeededGenerator(seed: 7)
        let pieces = ["/", "a", "b", "\u{1f}", "\u{7f}", "\u{80}", "\u{9f}", "\u{a0}", "é", "e\u{301}", "\u{301}", "😀"]
        var good: [AdminModel.ConfigurationKey] = []
        for _ in 0..<10_000 {
            let text = (0..<(1 + rng.index(below: 6))).map { _ in pieces[rng.index(below: pieces.count)] }.joined()
            let key = try? AdminModel.ConfigurationKey(text)
            #expect((key == nil) == (StoreCore.ConfigurationKey.defect(of: text) != nil), "\(text.quoted)")
            if let key { good.append(key) }
        }
        #expect(good.count > 1_000)
        for (a, b) in zip(good, good.dropFirst()) {
            #expect((a < b) == StoreCore.ConfigurationKey.precedes(a.description, b.description))
            #expect((a == b) == StoreCore.ConfigurationKey.equal(a.description, b.description))
        }
    }

    @Test(
        "The configuration's defaults of membership are those of each profile",
        arguments: SWIMConfiguration.Profile.allCases)
    func membership(profile: SWIMConfiguration.Profile) throws {
        let configured = try configuration("[membership]\nprofile = \"\(profile.rawValue)\"\n")
        #expect(SWIMConfiguration(configured.membership) == SWIMConfiguration(profile: profile))
    }

    @Test("The other defaults of the configuration are those of the parts")
    func defaults() throws {
        let configured = try configuration()
        let kernel = KernelConfiguration(
            configured, peers: [], keys: StartingKeys(files: [], ring: nil, seal: SealSettings()),
            signer: try #require(AuthorSigner(seed: [UInt8](repeating: 1, count: 32))))
        let own = KernelConfiguration(cluster: ClusterID(name: "default"), sizes: PacketCodec.sizes)
        #expect(kernel.cluster == own.cluster)
        #expect(kernel.datagramBytesMax == own.datagramBytesMax - SealedLayout.overheadBytes)
        #expect(kernel.streamsMax == own.streamsMax)
        #expect(kernel.streamIdleTimeout == own.streamIdleTimeout)
        #expect(kernel.syncIntervalMin == own.syncIntervalMin)
        #expect(kernel.sentinels == own.sentinels)
        let transport = TransportConfiguration(configured, seal: SealSettings())
        #expect(transport.datagramBytesMax == TransportConfiguration().datagramBytesMax)
        #expect(transport.inboundStreamsMax == TransportConfiguration().inboundStreamsMax)
        #expect(transport.outboundStreamsMax == TransportConfiguration().outboundStreamsMax)
        #expect(transport.streamIdleTimeout == TransportConfiguration().streamIdleTimeout)
        let admin = AdminServerSettings(configured.admin)
        let bare = AdminServerSettings(socketPath: configured.admin.socket)
        #expect(admin.socketMode == bare.socketMode)
        #expect(admin.socketGroup == bare.socketGroup)
        #expect(admin.maxBodyBytes == bare.maxBodyBytes)
        #expect(admin.maxConnections == bare.maxConnections)
        #expect(admin.adminGroups == ["gossipd"] && admin.readGroups == ["gossipd-read"])
    }

    @Test("Groups of the configuration come beside the package's, each once")
    func groups() throws {
        let admin = AdminServerSettings(
            try configuration("[admin]\nadmin_groups = [\"wheel\", \"gossipd\"]\nread_groups = [\"staff\"]\n").admin)
        #expect(admin.adminGroups == ["gossipd", "wheel"])
        #expect(admin.readGroups == ["gossipd-read", "staff"])
    }

    @Test("Every word of the configuration means something to the part that takes it")
    func words() {
        for profile in DaemonConfiguration.Membership.Profile.allCases {
            #expect(SWIMConfiguration.Profile(rawValue: profile.rawValue) != nil)
        }
        for format in DaemonConfiguration.Log.Format.allCases { #expect(LogFormat(rawValue: format.rawValue) != nil) }
        for state in SWIMCore.MemberState.allCases where state != .forgotten {
            #expect(AdminModel.MemberState(rawValue: EventNarrator.word(state)) != nil)
        }
    }
}
