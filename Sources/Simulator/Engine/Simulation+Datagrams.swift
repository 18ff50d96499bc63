// SPDX-License-Identifier: Apache-2.0
// Owns the way of a datagram: encoded, sent over a link that may lose, delay, double or damage it, and decoded.

import ClusterTypes
import NodeKernel
import StoreCore
import WireProtocol

extension Simulation {
    mutating func send(_ packet: Packet, from node: Int, to address: Address) {
        noteRows(in: packet, node: node)
        guard now >= nodes[node].mutedUntil else {
            queue.push(.input(node: node, process: nodes[node].process, .sendFailed(to: address)), at: now)
            return
        }
        let bytes: [UInt8]
        do {
            bytes = try PacketCodec.encode(packet, limit: baseConfiguration.datagramBytesMax)
        } catch {
            violations.add("n\(node + 1) made a datagram that cannot be sent: \(error)")
            return
        }
        nodes[node].traffic.datagrams += 1
        nodes[node].traffic.datagramBytes += bytes.count
        nodes[node].traffic.messages += packet.messages.count
        let target = SimulatedNode.index(of: address, count: nodes.count)
        if trace != nil { traceSend(packet, bytes: bytes.count, node: node, target: target) }
        guard let target else { return }
        transmit(bytes, from: node, to: target)
    }

    private mutating func transmit(_ bytes: [UInt8], from: Int, to: Int) {
        let link = links.settings(from: from, to: to)
        var random = linkRandomness.next(from: from, to: to)
        guard !topology.blocks(from: from, to: to) else {
            figures.datagramsCut += 1
            return
        }
        guard link.loss == 0 || !random.chance(link.loss) else {
            figures.datagramsLost += 1
            return
        }
        if link.corruption > 0, random.chance(link.corruption) {
            damage(bytes, using: &random)
            return
        }
        let copies = link.duplication > 0 && random.chance(link.duplication) ? 2 : 1
        for _ in 0..<copies {
            var delay = link.delay + link.jitter * random.fraction()
            if link.reordering > 0, random.chance(link.reordering) {
                delay = delay + link.reorderDelay * random.fraction()
            }
            queue.push(.datagram(from: from, to: to, bytes), at: now + delay)
        }
    }

    /// UDP's checksum finds damage, so the datagram is lost; but before, the decoder must survive it.
    private mutating func damage(_ bytes: [UInt8], using random: inout SeededGenerator) {
        figures.datagramsDamaged += 1
        var damaged = bytes
        for _ in 0..<(1 + random.index(below: 4)) {
            damaged[random.index(below: damaged.count)] ^= UInt8(1 + random.index(below: 255))
        }
        if (try? PacketCodec.decode(damaged)) != nil { figures.damagedDecoded += 1 }
    }

    mutating func receive(_ bytes: [UInt8], from: Int, to: Int) {
        guard nodes[to].isRunning else {
            refuse(from: from, to: to)
            return
        }
        do {
            let decoded = try PacketCodec.decode(bytes)
            figures.copies.received(decoded.packet, by: to)
            deliver(
                .packet(decoded.packet, from: nodes[from].address), to: to, process: nodes[to].process,
                bytes: bytes.count)
        } catch {
            violations.add("n\(to + 1) cannot decode a datagram of n\(from + 1): \(error)")
        }
    }

    /// Nobody listens there: the host says so with an ICMP message, which the network may lose.
    private mutating func refuse(from: Int, to: Int) {
        guard nodes[to].isHostUp, !topology.blocks(from: to, to: from) else { return }
        let link = links.settings(from: to, to: from)
        var random = linkRandomness.next(from: to, to: from)
        guard link.loss == 0 || !random.chance(link.loss) else { return }
        queue.push(
            .input(node: from, process: nodes[from].process, .refused(nodes[to].address)),
            at: now + link.delay + link.jitter * random.fraction())
    }

    /// Shows the rows that a packet carries to the checks.
    mutating func noteRows(in packet: Packet, node: Int) {
        for case .row(let row) in packet.messages {
            dots.sent(row, process: DotCheck.Process(node: node, number: nodes[node].process))
        }
    }
}
