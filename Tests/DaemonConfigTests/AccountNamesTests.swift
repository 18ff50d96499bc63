// SPDX-License-Identifier: Apache-2.0
// Owns the promise that accounts are found by name and by number, the same for whoever asks.

import DaemonConfig
import Testing

@Suite("Accounts of the host")
struct AccountNamesTests {
    @Test("A name and a number in text lead to the number; what is not there leads to nothing")
    func numbers() {
        #expect(AccountNames.user("root") == 0 && AccountNames.user("4711") == 4711)
        #expect(AccountNames.group("root") == 0 && AccountNames.group("4711") == 4711)
        #expect(AccountNames.user("no-such-user-here") == nil && AccountNames.group("no-such-group-here") == nil)
        // One more than a number of the kernel's can be.
        #expect(AccountNames.user("4294967296") == nil)
    }

    @Test("A number leads back to the name")
    func names() {
        #expect(AccountNames.userName(0) == "root")
        #expect(AccountNames.userName(4_294_967_290) == nil)
    }
}
