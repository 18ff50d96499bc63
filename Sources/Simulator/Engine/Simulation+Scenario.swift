// SPDX-License-Identifier: Apache-2.0
// Owns carrying out a scenario's steps.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import StrictGroup

extension Simulation {
    mutating func perform(step index: Int, repetition: Int) throws(ScenarioFailure) {
        let step = scenario.steps[index]
        if let (every, during) = step.repetition {
            let next = every * (repetition + 1)
            if next < during { queue.push(.step(index, repetition: repetition + 1), at: .origin + step.at + next) }
            if repetition == 0 { tell(step.text) }
        } else if step.at > .zero {
            tell(step.text)
        }
        try perform(step.action, line: step.line, repetition: repetition)
    }

    func draw(_ selector: NodeSelector, using rng: inout SeededGenerator, line: Int) throws(ScenarioFailure) -> [Int] {
        do {
            return try selector.resolve(count: nodes.count, running: views.runningNodes, using: &rng)
        } catch {
            throw ScenarioFailure(file: scenario.name, line: line, reason: error.reason)
        }
    }

    mutating func resolve(_ selector: NodeSelector, line: Int) throws(ScenarioFailure) -> [Int] {
        var generator = rng
        defer { rng = generator }
        return try draw(selector, using: &generator, line: line)
    }

    private mutating func mask(_ selector: NodeSelector, line: Int) throws(ScenarioFailure) -> NodeMask {
        NodeMask(try resolve(selector, line: line), count: nodes.count)
    }

    private mutating func perform(_ action: Scenario.Action, line: Int, repetition: Int) throws(ScenarioFailure) {
        if action.isFault { faults += 1 }
        switch action {
        case .start, .kill, .hostDown, .bounce, .roll, .leave, .forget, .tag, .stall, .mute:
            try performOnProcesses(action, line: line, repetition: repetition)
        case .cut, .mend, .partition, .isolate, .heal: try performOnTopology(action, line: line)
        case .link(let change, from: let from, to: let to):
            links.change(change, from: try mask(from, line: line), to: try mask(to, line: line))
        case .allLinks(let change): links.change(change)
        case .disk(latency: let latency, jitter: let jitter, let selector):
            for node in try resolve(selector, line: line) {
                nodes[node].disk.latency = latency
                nodes[node].disk.jitter = jitter
            }
        case .fault(let fault, let selector):
            for node in try resolve(selector, line: line) { try perform(fault, node: node, line: line) }
        case .clockRight(let selector):
            for node in try resolve(selector, line: line) { nodes[node].correctClock() }
        case .clockJump(let selector, milliseconds: let milliseconds):
            for node in try resolve(selector, line: line) { nodes[node].jumpClock(milliseconds: milliseconds) }
        case .clockDrift(let selector, let drift):
            for node in try resolve(selector, line: line) { nodes[node].setDrift(drift, at: now) }
        case .write(let selector, let write):
            for node in try resolve(selector, line: line) { perform(write, node: node, repetition: repetition) }
        case .userEvent(let selector, let name, let payload):
            for node in try resolve(selector, line: line) {
                let bytes = Array(Self.expand(payload, node: node, repetition: repetition).utf8)
                command(.sendEvent(name: name, payload: bytes), name: "event \(name)", node: node)
            }
        case .call(let selector, keys: let keys, together: let together):
            for node in try resolve(selector, line: line) { callStrict(node, keys: keys, together: together) }
        case .strictAdd(let selector, by: let by): try orderStrict(selector, by: by, line: line) { .add($0) }
        case .strictRemove(let selector, by: let by): try orderStrict(selector, by: by, line: line) { .remove($0) }
        case .strictTransfer(by: let by):
            for node in try resolve(by, line: line) { order(.transfer(to: nil), node: node) }
        case .strictRecover(let selector):
            for node in try resolve(selector, line: line) { order(.recover(evenIfBehind: true), node: node) }
        case .measure(let duration):
            figures.beginWindow(traffic: totalTraffic, at: now)
            queue.push(.measureEnd, at: now + duration)
        case .note: break
        }
    }

    private mutating func performOnProcesses(
        _ action: Scenario.Action, line: Int, repetition: Int
    ) throws(ScenarioFailure) {
        switch action {
        case .start(let selector):
            for node in try resolve(selector, line: line) { start(node) }
        case .kill(let selector):
            for node in try resolve(selector, line: line) { end(node, cause: "kill", isHostUp: true) }
        case .hostDown(let selector):
            for node in try resolve(selector, line: line) { end(node, cause: "down", isHostUp: false) }
        case .bounce(let selector, down: let down, let isOrderly):
            for node in try resolve(selector, line: line) { bounce(node, down: down, isOrderly: isOrderly) }
        case .roll(let selector, down: let down, every: let every):
            for (place, node) in try resolve(selector, line: line).enumerated() {
                queue.push(.bounce(node: node, down: down), at: now + every * place)
            }
        case .leave(let selector):
            for node in try resolve(selector, line: line) where nodes[node].isRunning {
                figures.ended(node, cause: "leave", running: views.runningCount - 1, at: now)
                command(
                    .leave(deadline: .seconds(5)), name: "leave", node: node,
                    patience: .seconds(5) + ReplyCheck.patience)
            }
        case .forget(let selector, by: let by):
            let subjects = try resolve(selector, line: line)
            for node in try resolve(by, line: line) {
                for subject in subjects {
                    command(.forget("n\(subject + 1)", isForced: false), name: "forget n\(subject + 1)", node: node)
                }
            }
        case .tag(let selector, let tag):
            let tag = Tag(name: tag.name, value: Self.expand(tag.value, node: nil, repetition: repetition))
            for node in try resolve(selector, line: line) where nodes[node].isRunning {
                figures.updateBegins(node, at: now)
                command(.changeTags(set: [tag], unset: []), name: "tag \(tag.name)=\(tag.value)", node: node)
            }
        case .stall(let selector, let duration):
            for node in try resolve(selector, line: line) { stall(node, for: duration) }
        case .mute(let selector, let duration):
            for node in try resolve(selector, line: line) { nodes[node].mutedUntil = now + duration }
        case .cut, .mend, .partition, .isolate, .heal, .link, .allLinks, .disk, .fault, .clockJump, .clockRight,
            .clockDrift, .write, .userEvent, .measure, .note, .call, .strictAdd, .strictRemove, .strictTransfer,
            .strictRecover:
            break
        }
    }

    mutating func bounce(_ node: Int, down: Interval, isOrderly: Bool = false) {
        guard nodes[node].isRunning else { return }
        tell("n\(node + 1) \(isOrderly ? "stops for a restart" : "is killed")")
        if isOrderly { deliver(.stopping, to: node, process: nodes[node].process) }
        end(node, cause: isOrderly ? "restart" : "kill", isHostUp: true)
        queue.push(.start(node: node), at: now + down)
    }

    mutating func end(_ node: Int, cause: String, isHostUp: Bool) {
        if nodes[node].isRunning {
            figures.ended(node, cause: cause, running: views.runningCount - 1, at: now)
        }
        endProcess(node, isHostUp: isHostUp)
    }

    private mutating func performOnTopology(_ action: Scenario.Action, line: Int) throws(ScenarioFailure) {
        switch action {
        case .cut(let from, let to):
            let barrier = Topology.Barrier.cut(from: try mask(from, line: line), to: try mask(to, line: line))
            changeTopology { $0.raise(barrier) }
        case .mend(let from, let to):
            let barrier = Topology.Barrier.cut(from: try mask(from, line: line), to: try mask(to, line: line))
            changeTopology { $0.lower(barrier) }
        case .isolate(let selector, let duration):
            let barrier = Topology.Barrier.isolation(try mask(selector, line: line))
            changeTopology { $0.raise(barrier) }
            queue.push(.lower(barrier), at: now + duration)
        case .partition(let groups):
            var group = [Int32](repeating: -1, count: nodes.count)
            for (number, selector) in groups.enumerated() {
                for node in try resolve(selector, line: line) { group[node] = Int32(number) }
            }
            changeTopology { $0.raise(.partition(group)) }
        case .heal:
            changeTopology { $0.heal() }
            figures.healed(at: now)
            queue.push(.pollHealing(since: now), at: now)
        case .start, .kill, .hostDown, .bounce, .roll, .leave, .forget, .tag, .stall, .mute, .link, .allLinks, .disk,
            .fault, .clockJump, .clockRight, .clockDrift, .write, .userEvent, .measure, .note, .call, .strictAdd,
            .strictRemove, .strictTransfer, .strictRecover:
            break
        }
    }

    private mutating func perform(_ write: Scenario.Write, node: Int, repetition: Int) {
        guard nodes[node].isRunning else { return }
        func expand(_ text: String) -> String { Self.expand(text, node: node, repetition: repetition) }
        switch write {
        case .put(key: let pattern, let value, ttl: let ttl):
            let key = expand(pattern)
            let bytes: [UInt8] =
                switch value {
                case .text(let text): Array(expand(text).utf8)
                case .size(let size): filler(size)
                }
            figures.submit(key: key, node: node, at: now)
            let options = WriteOptions(ttlMilliseconds: ttl.map { UInt64($0.milliseconds) })
            command(.write([.put(key: key, value: bytes)], options), name: "put \(key)", node: node)
        case .transaction(key: let pattern, let count, let text):
            let key = expand(pattern)
            let value = Array(expand(text).utf8)
            let writes = (1...count).map { StoreWrite.put(key: "\(key)/\($0)", value: value) }
            command(.write(writes, .none), name: "import \(key)", node: node)
        case .delete(key: let pattern):
            let key = expand(pattern)
            figures.submit(key: key, node: node, at: now)
            command(.delete(key: key), name: "delete \(key)", node: node)
        case .add(key: let pattern, let element):
            let key = expand(pattern)
            figures.submit(key: key, node: node, at: now)
            command(.addElement(Array(expand(element).utf8), key: key), name: "add \(key)", node: node)
        case .remove(key: let pattern, let element):
            let key = expand(pattern)
            figures.submit(key: key, node: node, at: now)
            command(.removeElement(Array(expand(element).utf8), key: key), name: "remove \(key)", node: node)
        case .increment(key: let pattern, let amount):
            let key = expand(pattern)
            figures.submit(key: key, node: node, at: now)
            command(.increment(key: key, by: amount), name: "increment \(key)", node: node)
        }
    }

    /// So many printable bytes that differ from write to write.
    private mutating func filler(_ size: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        for index in bytes.indices { bytes[index] = UInt8(97 + rng.index(below: 26)) }
        return bytes
    }

    private static func expand(_ text: String, node: Int?, repetition: Int) -> String {
        guard text.utf8.contains(UInt8(ascii: "{")) else { return text }
        var out = ""
        var rest = Substring(text)
        while let character = rest.first {
            if rest.hasPrefix("{n}") {
                out += String(repetition + 1)
                rest.removeFirst(3)
            } else if rest.hasPrefix("{node}"), let node {
                out += "n\(node + 1)"
                rest.removeFirst(6)
            } else {
                out.append(character)
                rest.removeFirst()
            }
        }
        return out
    }
}
