// SPDX-License-Identifier: Apache-2.0
// Owns what the simulator makes of the kernels' events: views, figures and checks.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import StrictGroup

extension Simulation {
    private mutating func observe(_ record: ChangeRecord, at node: Int) {
        let change = record.change
        revisions.told(record.revision, durable: nodes[node].disk.content.revision, node: node)
        resurrection.told(change, node: node)
        figures.changed(
            key: change.key, version: change.version, node: node, isAuthor: change.author.node == nodes[node].id,
            isRunningSince: nodes[node].startedAt, running: views.runningCount, at: now)
    }

    mutating func observe(_ event: KernelEvent, at node: Int) {
        if trace != nil { traceEvent(event, node: node) }
        switch event {
        case .member(let event): observe(event, at: node)
        case .keysChanged(let records):
            for record in records { observe(record, at: node) }
        case .synchronised(let summary):
            figures.syncs += 1
            figures.rowsSynced += summary.rowsReceived
        case .packetIgnored: figures.packetsIgnored += 1
        case .quarantined(let key, let author, let ahead):
            tell("n\(node + 1) quarantined '\(key)' by \(author): \(Figure.seconds(ahead)) ahead")
        case .identityInUse(let address):
            // A scenario may clone a node, identity and all.
            if nodes.count(where: { $0.id == nodes[node].id }) == 1 {
                violations.add("n\(node + 1) says that another process uses its id at \(address)")
            }
        case .storeReset(let peer, let rows, let queued, _):
            tell("n\(node + 1) takes over the store of \(name(of: peer)): \(rows) rows, \(queued) writes queued")
        case .collected(let rows, let folded, _):
            tell("n\(node + 1) collects \(rows) rows and folds \(folded) actors")
        case .clockOutlier(let offset): tell("n\(node + 1) finds its clock off by \(offset) ms")
        case .clockRecovered: tell("n\(node + 1) finds its clock right again")
        case .storage(let condition): tell("n\(node + 1) finds its disk \(condition)")
        case .userEvent(let event):
            userEvents.told(event, node: node, id: nodes[node].id, process: nodes[node].process, at: now)
        case .strict(let event):
            if case .copiesCorrected(keys: let keys) = event { strictCorrections += keys }
            if let text = strictStory(event) { tell("n\(node + 1) \(text)") }
        case .joinSucceeded, .joinFailed, .typeConflict, .awarenessChanged, .stalled, .leaving, .evicted, .catchUp:
            break
        }
    }

    private mutating func observe(_ event: MemberEvent, at node: Int) {
        // Of a host whose disk was lost, its former identity is nobody's view.
        guard let subject = SimulatedNode.index(of: event.info.address, count: nodes.count),
            !nodes[subject].formerIDs.contains(event.id)
        else { return }
        switch event.kind {
        case .joined, .alive:
            views.set(.alive, of: subject, by: node)
            figures.updateSeen(of: subject, at: now)
            noteFormation()
        case .suspected:
            views.set(.suspect, of: subject, by: node)
            figures.suspicions += 1
        case .failed:
            views.set(.failed, of: subject, by: node)
            figures.failureEvents += 1
            failedSubjects.insert(subject)
            noteDeparture(of: subject, by: node)
            judgeFailure(of: subject, by: node)
        case .left:
            views.set(.left, of: subject, by: node)
            noteDeparture(of: subject, by: node)
        case .forgotten, .reaped: views.set(.unknown, of: subject, by: node)
        case .updated:
            // Its own change is no news to the node itself.
            if node != subject { figures.updateSeen(of: subject, at: now) }
        case .refuted: figures.refutations += 1
        case .udpBlocked, .udpRestored, .equivocated: break
        case .forged:
            violations.add("n\(node + 1) takes a statement of n\(subject + 1) for a forgery")
        case .nameConflict(let other):
            if nodes[subject].formerIDs.contains(other) { break }
            violations.add("n\(node + 1) says that n\(subject + 1) and \(other.short) have the same name")
        }
    }

    func name(of id: NodeID) -> String {
        nodes.first { $0.id == id }.map(\.name) ?? id.short
    }

    private mutating func noteDeparture(of subject: Int, by node: Int) {
        guard let detection = figures.departed(subject, by: node, at: now), let times = detection.samples.summary else {
            return
        }
        tell(
            "n\(subject + 1) is \(detection.cause == "leave" ? "known to have left" : "known as failed") to all "
                + "\(detection.survivors) others after \(Figure.seconds(times.last)) "
                + "(first \(Figure.seconds(times.first)), median \(Figure.seconds(times.median)))")
    }

    private mutating func judgeFailure(of subject: Int, by node: Int) {
        let isFalse = falseFailures.judge(
            observer: node, subject: subject, process: nodes[subject].process, changedAt: nodes[subject].changedAt,
            at: now, topology: topology, running: views.runningMask)
        guard isFalse else { return }
        tell("n\(node + 1) calls n\(subject + 1) failed, which is false")
    }

    mutating func noteFormation() {
        guard figures.formation == nil, views.isFormed, let took = figures.formed(at: now) else { return }
        tell("everybody knows everybody, \(Figure.seconds(took)) after the last start")
    }

    mutating func changeTopology(_ change: (inout Topology) -> Void) {
        let before = topology
        change(&topology)
        if topology != before { falseFailures.topologyEnded(before, at: now) }
    }
}
