// SPDX-License-Identifier: Apache-2.0
// Owns the tests of an address's text.

import ClusterTypes
import Testing

@Suite struct AddressTests {
    /// RFC 5952's own examples among others: what is read, and the one form that is printed.
    @Test(
        "Addresses print in canonical form and read back",
        arguments: [
            ("192.0.2.1:7946", "192.0.2.1:7946"), ("0.0.0.0:0", "0.0.0.0:0"),
            ("255.255.255.255:65535", "255.255.255.255:65535"),
            ("[::1]:80", "[::1]:80"), ("[::]:80", "[::]:80"),
            ("[2001:db8::1]:7946", "[2001:db8::1]:7946"),
            ("[2001:0db8:0000:0000:0000:0000:0000:0001]:1", "[2001:db8::1]:1"),
            ("[2001:DB8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"),
            ("[2001:db8::0:1]:1", "[2001:db8::1]:1"),
            ("[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1"),
            ("[2001:0:0:1:0:0:0:1]:1", "[2001:0:0:1::1]:1"),
            ("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:AAAA]:1", "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa]:1"),
            ("[1::]:1", "[1::]:1"), ("[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"),
            ("[::2:3:4:5:6:7:8]:1", "[0:2:3:4:5:6:7:8]:1"),
            ("[::ffff:192.0.2.1]:5", "192.0.2.1:5"), ("[64:ff9b::192.0.2.33]:5", "[64:ff9b::c000:221]:5"),
        ])
    func canonical(text: String, printed: String) throws {
        let address = try #require(Address(text))
        #expect(address.description == printed)
        #expect(Address(printed) == address)
    }

    @Test(
        "What is no address is refused",
        arguments: [
            "", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1", "1.2.3:1", "1.2.3.4.5:1",
            "256.2.3.4:1", "1.2.3.0004:1", "1..3.4:1", "a.b.c.d:1", "host:1", "[host]:1", "::1:1", "[::1]", "[]:1",
            "[1:2:3:4:5:6:7:8:9]:1", "[1:2:3:4:5:6:7]:1", "[1::2::3]:1", "[:::]:1", "[12345::]:1", "[g::]:1",
            "[:1:2:3:4:5:6:7]:1", "[1:2:3:4:5:6:7:]:1", "[1:2:3:4:5:6:7:8::]:1", "[fe80::1%eth0]:1",
            "[::1.2.3]:1", "[1.2.3.4::]:1", "[1.2.3.4]:1", "１.2.3.4:1",
        ])
    func refused(text: String) {
        #expect(Address(text) == nil)
    }

    @Test("Classes of addresses are told apart")
    func classes() throws {
        let mapped = try #require(Address("[::ffff:10.0.0.1]:1"))
        #expect(mapped.isIPv4 && mapped == Address(ipv4: 0x0a00_0001, port: 1))
        #expect(try #require(Address("127.9.9.9:1")).isLoopback && !mapped.isLoopback)
        #expect(try #require(Address("[::1]:1")).isLoopback)
        #expect(try #require(Address("0.0.0.0:1")).isUnspecified && !mapped.isUnspecified)
        #expect(try #require(Address("[::]:1")).isUnspecified)
    }

    @Test("Names and ports are split where the port begins")
    func split() throws {
        let name = try #require(Address.splitHostPort("node-1.example:7946"))
        #expect(name.host == "node-1.example" && name.port == 7946)
        let bracketed = try #require(Address.splitHostPort("[::1]:7946"))
        #expect(bracketed.host == "::1" && bracketed.port == 7946)
        #expect(Address.splitHostPort("node") == nil && Address.splitHostPort(":1") == nil)
    }
}
