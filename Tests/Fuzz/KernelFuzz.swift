// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of a whole kernel: packets on datagrams and streams, timers, a disk that answers.

import ClusterTypes
import NodeKernel
import WireProtocol

/// Bytes are cut into steps: a length of two bytes, a byte that says what it is, and the step's own bytes.
enum KernelFuzz {
    static let cluster = ClusterID(name: "fuzz")
    static let selfID = NodeID(high: 1, low: 1)
    static let stepsMax = 64

    static func feed(_ bytes: UnsafeBufferPointer<UInt8>) -> CInt {
        var driver = Driver()
        driver.take(.start)
        driver.take(.streamAccepted(StreamID(rawValue: 1), from: Driver.peer))
        var rest = bytes[...]
        for _ in 0..<stepsMax {
            guard rest.count >= 3 else { break }
            let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            let kind = rest[rest.startIndex + 2]
            rest = rest.dropFirst(3)
            let body = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            driver.step(kind, body)
        }
        return 0
    }

    /// Answers the disk at once and fires timers as time passes.
    struct Driver {
        static let peer = Address(ipv4: 0x0a00_0002, port: 7946)
        var kernel: NodeKernel
        var rng = SeededGenerator(seed: 7)
        var clock = Clock(now: .origin, wall: WallTime(milliseconds: 1_795_000_000_000))
        var timers: [(at: Instant, token: TimerToken)] = []

        init() {
            let sizes = WireSizes(
                header: WireLayout.headerBytes, message: { PacketCodec.size(of: $0) })
            kernel = NodeKernel(
                configuration: KernelConfiguration(cluster: cluster, sizes: sizes),
                identity: KernelIdentity(
                    id: selfID, name: "fuzz-1", address: Address(ipv4: 0x0a00_0001, port: 7946), tags: [],
                    incarnationFence: 0, storeEpoch: 1),
                clock: clock)
        }

        mutating func step(_ kind: UInt8, _ body: [UInt8]) {
            switch kind & 3 {
            case 0, 1:
                guard var packet = try? PacketCodec.decode(body).packet else { return }
                // Else nearly every packet would be one of another cluster.
                packet.cluster = KernelFuzz.cluster
                if kind & 3 == 0 {
                    take(.packet(packet, from: Self.peer))
                } else {
                    take(.streamPacket(StreamID(rawValue: 1), packet))
                }
            case 2:
                pass(.milliseconds(Int(kind) * 20))
            default:
                take(.streamClosed(StreamID(rawValue: 1), .reset))
                take(.streamAccepted(StreamID(rawValue: 1), from: Self.peer))
            }
        }

        mutating func pass(_ time: Interval) {
            clock.now = clock.now + time
            clock.wall.milliseconds += UInt64(time.milliseconds)
            let due = timers.filter { $0.at <= clock.now }
            timers.removeAll { $0.at <= clock.now }
            for timer in due { take(.timer(timer.token)) }
        }

        mutating func take(_ input: Input) {
            var inputs = [input]
            // A disk that answers at once may be asked again by the answer; the bound only ends a runaway.
            var left = 10_000
            while !inputs.isEmpty {
                left -= 1
                require(left > 0, "the kernel never comes to rest")
                var actions: [Action] = []
                kernel.handle(inputs.removeFirst(), clock: clock, using: &rng, into: &actions)
                for action in actions {
                    switch action {
                    case .persist(let token, _): inputs.append(.persisted(token))
                    case .setTimer(let token, let at): timers.append((at, token))
                    case .send(let packet, _):
                        require((try? PacketCodec.encode(packet, limit: 1_400)) != nil, "the kernel sends what cannot be encoded")
                    default: break
                    }
                }
            }
            kernel.checkInvariants()
        }
    }
}
