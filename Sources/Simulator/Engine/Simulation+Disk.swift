// SPDX-License-Identifier: Apache-2.0
// Owns the disks' part of the simulation: commits, their faults, and what a process finds when it starts.

import ClusterTypes
import NodeKernel
import StoreCore

extension Simulation {
    mutating func persist(_ token: PersistToken, _ records: [DurableRecord], node: Int) {
        let process = nodes[node].process
        watch(records, node: node)
        let batch = SimulatedDisk.Batch(token: token, records: records)
        if let due = nodes[node].disk.submit(batch, at: now) { schedule(commitDue: due, node: node, process: process) }
    }

    private mutating func schedule(commitDue due: Instant, node: Int, process: Int32) {
        queue.push(.commit(node: node, process: process), at: due)
        if due - now > SimulatedDisk.slowAfter { lookAtDisk(node, process: process, at: now + SimulatedDisk.slowAfter) }
    }

    private mutating func lookAtDisk(_ node: Int, process: Int32, at time: Instant) {
        queue.push(.diskLook(node: node, process: process), at: max(now, time))
    }

    /// The commit under way has come to its end, whatever that is.
    mutating func commit(_ node: Int, process: Int32) {
        guard nodes[node].process == process, nodes[node].isRunning, nodes[node].disk.isCommitting else { return }
        if let down = nodes[node].disk.failure {
            nodes[node].disk.failure = nil
            tell("n\(node + 1) cannot write to its disk and exits with 74")
            end(node, cause: "kill", isHostUp: true)
            queue.push(.start(node: node), at: now + down)
            return
        }
        if nodes[node].disk.stalledUntil > now {
            queue.push(.commit(node: node, process: process), at: nodes[node].disk.stalledUntil)
            return
        }
        if nodes[node].disk.isFull {
            say(.full, to: node, process: process)
            queue.push(.commit(node: node, process: process), at: now + SimulatedDisk.retryInterval)
            return
        }
        let done = nodes[node].disk.finish()
        if let due = nodes[node].disk.begin(at: now) { schedule(commitDue: due, node: node, process: process) }
        for batch in done {
            for case .store(let record) in batch.records {
                record.forEachRow { dots.persisted($0, process: DotCheck.Process(node: node, number: process)) }
            }
        }
        say(.ok, to: node, process: process)
        for batch in done { deliver(.persisted(batch.token), to: node, process: process) }
    }

    /// A commit may have been under way for too long.
    mutating func diskLook(_ node: Int, process: Int32) {
        guard nodes[node].process == process, nodes[node].isRunning, nodes[node].disk.isCommitting,
            nodes[node].disk.begunAt + SimulatedDisk.slowAfter <= now, nodes[node].disk.told == .ok
        else { return }
        say(.slow, to: node, process: process)
    }

    private mutating func say(_ condition: StorageCondition, to node: Int, process: Int32) {
        guard nodes[node].disk.told != condition else { return }
        nodes[node].disk.told = condition
        deliver(.storage(condition), to: node, process: process)
    }

    mutating func perform(_ fault: Scenario.DiskFault, node: Int, line: Int) throws(ScenarioFailure) {
        switch fault {
        case .crash(let mode): nodes[node].disk.crashMode = mode
        case .full(let duration):
            nodes[node].disk.isFull = true
            queue.push(.diskRoom(node: node), at: now + duration)
        case .damage:
            try requireStopped(node, line: line)
            if nodes[node].disk.damageStrictLog() { tell("a record of n\(node + 1)'s strict log rots") }
        case .stall(let duration):
            nodes[node].disk.stalledUntil = max(nodes[node].disk.stalledUntil, now + duration)
            if nodes[node].disk.isCommitting {
                let late = nodes[node].disk.begunAt + SimulatedDisk.slowAfter
                lookAtDisk(node, process: nodes[node].process, at: late)
            }
        case .error(let down): nodes[node].disk.failure = down
        case .save: nodes[node].disk.save()
        case .restore:
            try requireStopped(node, line: line)
            guard nodes[node].disk.restore() else {
                throw ScenarioFailure(
                    file: scenario.name, line: line,
                    reason: "nothing was saved of n\(node + 1): write 'disk save' before")
            }
            diskReplaced(of: node)
        case .wipe:
            try requireStopped(node, line: line)
            nodes[node].disk.replace(with: DiskContent())
            nodes[node].renewID()
            diskReplaced(of: node)
        case .clone(let source, isSameID: let isSameID):
            try requireStopped(node, line: line)
            nodes[node].disk.replace(with: nodes[source].disk.content)
            if isSameID { nodes[node].takeID(of: nodes[source].id) }
            diskReplaced(of: node)
        }
    }

    private func requireStopped(_ node: Int, line: Int) throws(ScenarioFailure) {
        guard nodes[node].isRunning else { return }
        throw ScenarioFailure(
            file: scenario.name, line: line, reason: "n\(node + 1) runs: kill it before its disk is replaced")
    }

    /// The node is no longer held to what its former disk had promised.
    private mutating func diskReplaced(of node: Int) {
        acked.diskReplaced(of: node)
        revisions.diskReplaced(of: node)
        resurrection.forgotten(by: node)
    }
}

// MARK: - Checks

extension Simulation {
    /// Looks at what a process asks its disk to keep; the kernel has just made the step.
    private mutating func watch(_ records: [DurableRecord], node: Int) {
        var rows: [Row] = []
        // Rows that folding has rewritten may stand before the floor that says so.
        for case .store(.floor(let floor)) in records { resurrection.raised(to: floor) }
        for case .store(let record) in records {
            switch record {
            case .row(let row): watch(row, node: node, &rows)
            case .rows(let snapshot): snapshot.forEach { watch($0, node: node, &rows) }
            case .fed(let fed): for row in fed.rows { watch(row, node: node, &rows) }
            case .rowRemoved(let id): resurrection.removed(id, node: node)
            case .reset: resurrection.reset(node: node)
            case .queued(let write): acked.queued(write, node: node)
            case .context, .contextReplaced, .floor, .promised, .change, .request, .dequeued, .expiredThrough: break
            }
        }
        if records.contains(where: { if case .store(.reset) = $0 { true } else { false } }) {
            acked.reset(node: node, to: rows)
        }
        guard !rows.isEmpty else { return }
        if let commandInStep { acked.asked(commandInStep, rows: rows) }
        if let store = nodes[node].kernel?.store {
            transactions.persisting(rows, node: node, id: nodes[node].id, store: store)
        }
    }

    private mutating func watch(_ row: Row, node: Int, _ rows: inout [Row]) {
        let process = DotCheck.Process(node: node, number: nodes[node].process)
        dots.persisting(row, id: nodes[node].id, process: process)
        resurrection.persisting(row, node: node)
        acked.persisting(row, node: node)
        rows.append(row)
    }

    /// Looks at what a process that starts again found on its disk.
    mutating func watchRecovery(of node: Int, refused: [RowID]) {
        for id in refused { violations.add("n\(node + 1) cannot load its own row of '\(id.key)'") }
        guard let kernel = nodes[node].kernel else { return }
        let content = nodes[node].disk.content
        dots.recovered(content.rows.values, node: node)
        resurrection.recovered(content.rows, expiredThrough: content.expiredThrough, node: node)
        acked.recovered(node: node, store: kernel.store)
        revisions.recovered(kernel.revision, node: node)
        transactions.recovered(node: node, store: kernel.store)
    }
}
