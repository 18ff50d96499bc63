// SPDX-License-Identifier: Apache-2.0
// Owns the promise that versions of contents agree on all hosts.

import Testing

@testable import Delivery

struct ContentVersionTests {
    @Test func `Equal contents have equal versions and others have others`() {
        #expect(ContentVersion.of([1, 2]) == ContentVersion.of([1, 2]))
        #expect(ContentVersion.of([1, 2]) != ContentVersion.of([2, 1]))
        #expect(ContentVersion.of([]).count == 32)
    }
}
