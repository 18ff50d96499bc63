// SPDX-License-Identifier: Apache-2.0
// Owns repeated requests: a write with an idempotency id is carried out once.

import ClusterTypes
import StoreCore

/// The answers given to requests with an id.
struct RequestTable: Sendable {
    init(_ records: [RequestRecord] = []) {}
}
