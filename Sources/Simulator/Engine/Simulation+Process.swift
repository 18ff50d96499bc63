// SPDX-License-Identifier: Apache-2.0
// Owns driving the kernels as the daemon does: inputs in, actions carried out in order.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import WireProtocol

extension Simulation {
    mutating func start(_ node: Int) {
        guard !nodes[node].isRunning else { return }
        nodes[node].isHostUp = true
        let isPreformed = preformedTable != nil && nodes[node].process == 0
        let refused = nodes[node].boot(baseConfiguration, members: isPreformed ? preformedTable : nil, at: now)
        if nodes[node].process > 1 { nodes[node].changedAt = now }
        views.start(node, knowsAll: isPreformed)
        figures.started(node, isFirst: nodes[node].process == 1, at: now)
        if nodes[node].process > 1 { tell("n\(node + 1) starts again") }
        watchRecovery(of: node, refused: refused)
        deliver(.start, to: node, process: nodes[node].process)
        noteFormation()
    }

    /// The process ends; `isHostUp` says whether its host goes on to answer with refusals.
    mutating func endProcess(_ node: Int, isHostUp: Bool) {
        nodes[node].isHostUp = isHostUp
        guard nodes[node].isRunning else { return }
        breakStreams(of: node, isHostUp: isHostUp)
        let kept = nodes[node].endProcess()
        if kept > 0 { tell("n\(node + 1)'s disk kept \(kept) batches that it had not confirmed") }
        nodes[node].changedAt = now
        views.end(node)
        replies.ended(node: node)
        dots.ended(node: node)
        strict.ended(node: node)
        holders[node] = StrictHolder()
        noteFormation()
    }

    mutating func stall(_ node: Int, for duration: Interval) {
        guard nodes[node].isRunning else { return }
        let until = max(nodes[node].stalledUntil ?? .origin, now + duration)
        if nodes[node].stalledUntil == nil { nodes[node].stalledSince = now }
        nodes[node].stalledUntil = until
        replies.delayed(node: node, by: duration)
        queue.push(.resume(node: node, process: nodes[node].process), at: until)
    }

    /// A stalled process reads what has arrived meanwhile, in the order of arrival.
    mutating func resume(_ node: Int, process: Int32) {
        guard nodes[node].process == process, let until = nodes[node].stalledUntil, until <= now else { return }
        nodes[node].stalledUntil = nil
        // The driver sees by its first late timer that it was not running.
        let late = until - (nodes[node].stalledSince ?? until)
        nodes[node].stalledSince = nil
        if late > baseConfiguration.swim.probeTimeout / 2 {
            deliver(.localTrouble(.late(late)), to: node, process: process)
        }
        if nodes[node].dropsWhileStalled > 0 {
            let drops = nodes[node].dropsWhileStalled
            nodes[node].dropsWhileStalled = 0
            deliver(.localTrouble(.datagramsDropped(drops)), to: node, process: process)
        }
        let waiting = nodes[node].waiting
        nodes[node].waiting = []
        nodes[node].waitingBytes = 0
        for item in waiting { deliver(item.input, to: node, process: process) }
    }

    /// Hands an input to a process, or lets it wait while the process is stalled. `bytes` of socket buffer bound what
    /// waits; 0 is never dropped.
    mutating func deliver(_ input: Input, to node: Int, process: Int32, bytes: Int = 0) {
        guard nodes[node].process == process, nodes[node].isRunning else { return }
        if nodes[node].stalledUntil != nil {
            let charge = bytes > 0 ? bytes + SimulatedNode.datagramOverheadBytes : 0
            guard charge == 0 || nodes[node].waitingBytes + charge <= SimulatedNode.socketBufferBytes else {
                figures.socketDrops += 1
                nodes[node].dropsWhileStalled += 1
                return
            }
            nodes[node].waitingBytes += charge
            nodes[node].waiting.append(SimulatedNode.Waiting(input: input, bytes: charge))
            return
        }
        guard admit(input, at: node) else { return }
        if trace != nil { traceInput(input, node: node) }
        if case .command(let id, _) = input { commandInStep = id }
        var actions: [Action] = []
        swap(&actions, &actionBuffer)
        nodes[node].step(input, at: now, into: &actions)
        nodes[node].stepsSinceCheck += 1
        if nodes[node].stepsSinceCheck >= checkStride {
            nodes[node].stepsSinceCheck = 0
            figures.invariantChecks += 1
            nodes[node].kernel?.checkInvariants()
        }
        if scenario.strict != nil, let part = nodes[node].kernel?.strictNode {
            strict.look(at: part, node: node, now: now)
        }
        for action in actions { perform(action, node: node, process: process) }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &actionBuffer)
        commandInStep = nil
    }

    /// Inputs about streams that the process has closed meanwhile do not reach it.
    private mutating func admit(_ input: Input, at node: Int) -> Bool {
        switch input {
        case .streamConnected(let id), .streamOpened(let id, isSealed: _),
            .streamAccepted(let id, from: _, isSealed: _),
            .streamPacket(let id, _):
            return nodes[node].streams[id] != nil
        case .streamClosed(let id, _):
            guard let serial = nodes[node].streams.removeValue(forKey: id) else { return false }
            forgetStream(serial)
            return true
        case .start, .packet, .timer, .sendFailed, .refused, .localTrouble, .stopping, .persisted, .strict, .storage,
            .resolved, .command, .calls:
            return true
        }
    }

    private mutating func perform(_ action: Action, node: Int, process: Int32) {
        // `stopped` ends the process; what the kernel said after it is not carried out.
        guard nodes[node].isRunning else { return }
        switch action {
        case .send(let packet, to: let address): send(packet, from: node, to: address)
        case .openStream(let id, to: let address, timeout: let timeout):
            openStream(id, from: node, to: address, timeout: timeout)
        case .writeStream(let id, let packet), .offerStream(let id, let packet): writeStream(id, packet, from: node)
        case .closeStream(let id): closeStream(id, at: node)
        // Nothing here ends an idle stream.
        case .keepStream: break
        case .setTimer(let token, at: let at):
            let time = max(now, at - nodes[node].monotonicOrigin)
            queue.push(.input(node: node, process: process, .timer(token)), at: time)
        case .persist(let token, let records): persist(token, records, node: node)
        case .strict(let action): carryOut(action, node: node, process: process)
        case .resolve(seed: let seed): resolveSeed(seed, node: node)
        // Nothing is sealed here; Tests/TransportTests/RotationTests.swift has a network of seals.
        case .ringChanged: break
        case .reply(let id, let reply): answered(id, reply, node: node)
        case .event(let event): observe(event, at: node)
        case .refused(doubleAt: let address):
            tell("n\(node + 1) refuses to serve: an older process has its id at \(address)")
            endProcess(node, isHostUp: true)
        case .stopped(let outcome):
            tell("n\(node + 1) has left: \(outcome.acknowledged) of \(outcome.asked) peers acknowledged")
            endProcess(node, isHostUp: true)
        }
    }

    /// Names resolve after a millisecond, always.
    private mutating func resolveSeed(_ seed: String, node: Int) {
        var addresses: [Address] = []
        if let address = Address(seed) {
            addresses = [address]
        } else if let (host, port) = Address.splitHostPort(seed), host.hasPrefix("n"),
            let number = Int(host.dropFirst()), (1...nodes.count).contains(number)
        {
            addresses = [Address(host: SimulatedNode.address(of: number - 1).host, port: port)].compactMap { $0 }
        }
        queue.push(
            .input(node: node, process: nodes[node].process, .resolved(seed: seed, addresses)),
            at: now + .milliseconds(1))
    }

    mutating func command(_ command: Command, name: String, node: Int, patience: Interval = ReplyCheck.patience) {
        guard nodes[node].isRunning else { return }
        let id = replies.issue(name, node: node, at: now, patience: patience)
        if case .write(let writes, _) = command { acked.issued(id, writes) }
        if let until = nodes[node].stalledUntil { replies.delayed(node: node, by: until - now) }
        deliver(.command(id, command), to: node, process: nodes[node].process)
    }

    private mutating func answered(_ id: CommandID, _ reply: Reply, node: Int) {
        guard let asked = replies.answer(id, node: node) else { return }
        acked.answered(id, reply, node: node)
        if case .strict(let answer) = reply {
            strict.answered(id, answer, at: now)
            holders[node].answered(id, answer, at: now, &strict)
            return
        }
        if trace != nil { traceReply(reply, asked: asked.name, node: node) }
        if case .failure(let failure) = reply {
            figures.commandsRefused += 1
            tell("n\(node + 1) refused '\(asked.name)': \(failure)")
        }
    }
}
