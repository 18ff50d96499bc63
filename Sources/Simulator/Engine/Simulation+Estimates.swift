// SPDX-License-Identifier: Apache-2.0
// Owns the comparison of estimated round trips with those that the links have.

import ClusterTypes
import NodeKernel
import SWIMCore

extension Simulation {
    /// What contradicts that half of all estimates are off by at most `most`; nil when they are not.
    func estimatesFinding(_ most: Double) -> String? {
        var errors: [Double] = []
        var unknown = 0
        let running = views.runningNodes
        for node in running {
            guard case .roundTrips(_, let trips)? = nodes[node].query(.roundTrips(from: nil, to: nil), at: now) else {
                return "n\(node + 1) does not answer"
            }
            for peer in running where peer != node {
                let view = trips.first { $0.member.member.id == nodes[peer].id }
                guard let expected = view?.estimate?.expected.seconds else {
                    unknown += 1
                    errors.append(.infinity)
                    continue
                }
                let real = (oneWay(node, peer) + oneWay(peer, node)).seconds
                errors.append(abs(expected - real) / real)
            }
        }
        errors.sort()
        guard !errors.isEmpty, errors[errors.count / 2] > most else { return nil }
        let median = Figure.decimal(errors[errors.count / 2] * 100, digits: 1)
        return "half of \(errors.count) estimates are off by \(median) % or more; \(unknown) are unknown"
    }

    private func oneWay(_ from: Int, _ to: Int) -> Interval {
        let link = links.settings(from: from, to: to)
        return link.delay + link.jitter / 2
    }
}
