// SPDX-License-Identifier: Apache-2.0
// Owns the way of a stream: connect, frames in order, refusal, silence, and breaking.

import ClusterTypes
import NodeKernel
import WireProtocol

extension Simulation {
    mutating func openStream(_ id: StreamID, from node: Int, to address: Address, timeout: Interval) {
        guard nodes[node].streams[id] == nil else {
            violations.add("n\(node + 1) opened stream \(id.rawValue) twice")
            return
        }
        let process = nodes[node].process
        let serial = nextStreamSerial
        nextStreamSerial += 1
        nodes[node].streams[id] = serial
        nodes[node].traffic.streamsOpened += 1
        var stream = SimulatedStream(
            client: SimulatedStream.End(node: node, process: process, id: id, isOpen: true))
        if trace != nil { traceStream("opens stream \(id.rawValue) to \(address)", node: node) }
        guard let target = SimulatedNode.index(of: address, count: nodes.count) else {
            streams[serial] = stream
            queue.push(.stream(.reset(.client, .unreachable), serial: serial), at: now + .milliseconds(1))
            return
        }
        stream.target = target
        streams[serial] = stream
        queue.push(.stream(.connect(attempt: 0), serial: serial), at: now + transit(from: node, to: target, bytes: 40))
        queue.push(.stream(.connectDeadline, serial: serial), at: now + timeout)
    }

    mutating func writeStream(_ id: StreamID, _ packet: Packet, from node: Int) {
        noteRows(in: packet, node: node)
        guard let serial = nodes[node].streams[id], let side = side(of: node, id, in: serial) else { return }
        do {
            let bytes = try StreamFrame.encode(packet)
            nodes[node].traffic.streamFrames += 1
            nodes[node].traffic.streamBytes += bytes.count
            if trace != nil { traceWrite(packet, bytes: bytes.count, stream: id, node: node) }
            enqueue(.frame(bytes), bytes: bytes.count, to: side.other, serial: serial)
        } catch {
            violations.add("n\(node + 1) made a frame that cannot be written: \(error)")
        }
    }

    mutating func closeStream(_ id: StreamID, at node: Int) {
        // The id is gone at once, so that an end which still waits for a stalled process is not told after this.
        guard let serial = nodes[node].streams.removeValue(forKey: id), let side = side(of: node, id, in: serial)
        else { return }
        if trace != nil { traceStream("closes stream \(id.rawValue)", node: node) }
        streams[serial]?.close(side)
        enqueue(.finish, bytes: 40, to: side.other, serial: serial)
        forgetStream(serial)
    }

    /// The process is gone: its host, if it is up, resets whatever it had open.
    mutating func breakStreams(of node: Int, isHostUp: Bool) {
        for (id, serial) in nodes[node].streams.sorted(by: { $0.key < $1.key }) {
            guard let side = side(of: node, id, in: serial) else { continue }
            streams[serial]?.close(side)
            if isHostUp { reset(side.other, of: serial, from: node) }
            forgetStream(serial)
        }
    }

    mutating func handle(_ event: StreamEvent, serial: UInt64) {
        guard let stream = streams[serial] else { return }
        switch event {
        case .connect(let attempt): connect(stream, serial: serial, attempt: attempt)
        case .answer(let refused, let attempt): answer(stream, serial: serial, refused: refused, attempt: attempt)
        case .connectDeadline:
            if !stream.isConnected { tellEnd(.timedOut, to: .client, of: serial) }
        case .pump(let side, let isRetry): pump(to: side, serial: serial, isRetry: isRetry)
        case .reset(let side, let reason): tellEnd(reason, to: side, of: serial)
        }
    }

    // MARK: - Connecting

    private mutating func connect(_ stream: SimulatedStream, serial: UInt64, attempt: Int) {
        guard stream.client.isOpen, let target = stream.target else { return }
        let from = stream.client.node
        guard nodes[target].isHostUp, !topology.blocks(from: from, to: target) else {
            let delay = SimulatedStream.connectRetryDelay * (1 << min(attempt, 6))
            queue.push(.stream(.connect(attempt: attempt + 1), serial: serial), at: now + delay)
            return
        }
        let isRefused = !nodes[target].isRunning
        if !isRefused {
            let id = nodes[target].acceptStream(serial: serial)
            streams[serial]?.server = SimulatedStream.End(
                node: target, process: nodes[target].process, id: id, isOpen: true)
            // The other side sees the connection's own port, not the one that the peer listens at.
            var origin = nodes[from].address
            origin.port = UInt16(49_152 + serial % 16_384)
            deliver(.streamAccepted(id, from: origin), to: target, process: nodes[target].process)
        }
        queue.push(
            .stream(.answer(refused: isRefused, attempt: 0), serial: serial),
            at: now + transit(from: target, to: from, bytes: 40))
    }

    private mutating func answer(_ stream: SimulatedStream, serial: UInt64, refused: Bool, attempt: Int) {
        guard stream.client.isOpen, let target = stream.target else { return }
        guard !topology.blocks(from: target, to: stream.client.node) else {
            let delay = SimulatedStream.connectRetryDelay * (1 << min(attempt, 6))
            queue.push(.stream(.answer(refused: refused, attempt: attempt + 1), serial: serial), at: now + delay)
            return
        }
        if refused {
            tellEnd(.refused, to: .client, of: serial)
            return
        }
        streams[serial]?.isConnected = true
        deliver(.streamOpened(stream.client.id), to: stream.client.node, process: stream.client.process)
    }

    // MARK: - Frames

    private mutating func enqueue(
        _ item: SimulatedStream.Item, bytes: Int, to side: SimulatedStream.Side, serial: UInt64
    ) {
        guard let stream = streams[serial], let target = stream[end: side], let source = stream[end: side.other] else {
            return
        }
        let arrival = max(
            stream[to: side].lastArrival, now + transit(from: source.node, to: target.node, bytes: bytes))
        streams[serial]?[to: side].items.append((arrival, item))
        streams[serial]?[to: side].lastArrival = arrival
        queue.push(.stream(.pump(side, isRetry: false), serial: serial), at: arrival)
    }

    /// Delivers what has arrived at `side`, as far as the network lets it through.
    private mutating func pump(to side: SimulatedStream.Side, serial: UInt64, isRetry: Bool) {
        while let stream = streams[serial], let first = stream[to: side].items.first, first.arrival <= now {
            if !isRetry, stream[to: side].retryAt != nil { return }
            guard let receiver = stream[end: side], let sender = stream[end: side.other] else { return }
            guard nodes[receiver.node].isHostUp, !topology.blocks(from: sender.node, to: receiver.node) else {
                delay(to: side, serial: serial)
                return
            }
            streams[serial]?[to: side].retryAt = nil
            streams[serial]?[to: side].failures = 0
            streams[serial]?[to: side].items.removeFirst()
            guard receiver.isOpen, nodes[receiver.node].process == receiver.process, nodes[receiver.node].isRunning
            else {
                // Nobody is there any more: the host answers with a reset.
                streams[serial]?[to: side].items = []
                if sender.isOpen { reset(side.other, of: serial, from: receiver.node) }
                forgetStream(serial)
                return
            }
            switch first.item {
            case .finish: tellEnd(.finished, to: side, of: serial)
            case .frame(let bytes): receive(bytes, at: side, receiver, serial: serial)
            }
        }
        forgetStream(serial)
    }

    /// The head of the line does not get through: try later, and give up some day.
    private mutating func delay(to side: SimulatedStream.Side, serial: UInt64) {
        guard let failures = streams[serial]?[to: side].failures else { return }
        if failures >= SimulatedStream.failuresMax {
            streams[serial]?[to: side].items = []
            tellEnd(.timedOut, to: side.other, of: serial)
            forgetStream(serial)
            return
        }
        let retryAt = now + SimulatedStream.backoff(failures)
        streams[serial]?[to: side].failures = failures + 1
        streams[serial]?[to: side].retryAt = retryAt
        queue.push(.stream(.pump(side, isRetry: true), serial: serial), at: retryAt)
    }

    private mutating func receive(
        _ bytes: [UInt8], at side: SimulatedStream.Side, _ receiver: SimulatedStream.End, serial: UInt64
    ) {
        streams[serial]?[to: side].accumulator.append(bytes)
        do {
            while let decoded = try streams[serial]?[to: side].accumulator.next() {
                deliver(.streamPacket(receiver.id, decoded.packet), to: receiver.node, process: receiver.process)
            }
        } catch {
            violations.add("n\(receiver.node + 1) cannot decode a frame: \(error)")
            tellEnd(.invalid, to: side, of: serial)
        }
    }

    // MARK: - Ends

    /// The host of `from` breaks the stream off; the other side hears of it if the network lets it.
    private mutating func reset(_ side: SimulatedStream.Side, of serial: UInt64, from node: Int) {
        guard let peer = streams[serial]?[end: side], !topology.blocks(from: node, to: peer.node) else { return }
        queue.push(
            .stream(.reset(side, .reset), serial: serial), at: now + transit(from: node, to: peer.node, bytes: 40))
    }

    private mutating func tellEnd(_ reason: StreamEnd, to side: SimulatedStream.Side, of serial: UInt64) {
        guard let stream = streams[serial], let end = stream[end: side], end.isOpen else { return }
        streams[serial]?.close(side)
        streams[serial]?[to: side].items = []
        // The side that gave up or was refused no longer answers its peer.
        if let peer = stream[end: side.other], peer.isOpen, reason != .finished, reason != .reset {
            reset(side.other, of: serial, from: end.node)
        }
        deliver(.streamClosed(end.id, reason), to: end.node, process: end.process)
    }

    mutating func forgetStream(_ serial: UInt64) {
        if streams[serial]?.isOver == true { streams[serial] = nil }
    }

    private func side(of node: Int, _ id: StreamID, in serial: UInt64) -> SimulatedStream.Side? {
        guard let stream = streams[serial] else { return nil }
        if stream.client.node == node, stream.client.id == id { return .client }
        return stream.server?.node == node && stream.server?.id == id ? .server : nil
    }

    /// How long a segment takes; what is lost on the way is sent again after ever longer waits.
    private mutating func transit(from: Int, to: Int, bytes: Int) -> Interval {
        let link = links.settings(from: from, to: to)
        var random = linkRandomness.next(from: from, to: to)
        var time =
            link.delay + link.jitter * random.fraction() + .nanoseconds(bytes * SimulatedStream.nanosecondsPerByte)
        var losses = 0
        while losses < 6, link.loss > 0, random.chance(link.loss) {
            time = time + SimulatedStream.backoff(losses)
            losses += 1
        }
        return time
    }
}
