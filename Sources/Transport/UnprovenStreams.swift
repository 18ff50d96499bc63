// SPDX-License-Identifier: Apache-2.0
// Owns which of those who connected have proven nothing yet, and which of them gives its place to the next one.

import ClusterTypes
import NodeKernel

/// Inbound streams whose peer has not yet shown the key, or, where there is none, sent a frame. Anybody can open as many as there are
/// places: without this, a stranger who connects and says nothing would keep members out.
struct UnprovenStreams {
    private struct Entry {
        let id: StreamID
        let source: Address
    }

    /// In the order in which they came.
    private var entries: [Entry] = []

    mutating func insert(_ id: StreamID, from source: Address) { entries.append(Entry(id: id, source: source)) }

    /// It has proven itself, or is over.
    mutating func remove(_ id: StreamID) { entries.removeAll { $0.id == id } }

    /// The oldest one of the host that has most of them, so that a host which takes many places takes them from itself; nil when there
    /// is none.
    func displaced() -> (id: StreamID, source: Address)? {
        var counts: [Address: Int] = [:]
        for entry in entries { counts[entry.source.host, default: 0] += 1 }
        guard let most = counts.values.max(), let entry = entries.first(where: { counts[$0.source.host] == most })
        else {
            return nil
        }
        return (entry.id, entry.source)
    }
}

extension Address {
    /// The same with port 0.
    fileprivate var host: Address {
        var host = self
        host.port = 0
        return host
    }
}
