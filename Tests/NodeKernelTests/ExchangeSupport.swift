// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of exchanges share: stores made beforehand, the frames of an exchange, and their bytes.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

/// A store of rows.
func store(_ rows: some Sequence<Row>, floor: CollectionFloor = .none, number: Int = 1) -> Store {
    var store = Store(actor: ActorID(node: id(number), epoch: 1))
    for row in rows { _ = store.merge(row, wall: WallTime(milliseconds: 1_700_000_000_000)) }
    if floor != .none { _ = store.raise(to: floor) }
    return store
}

/// Rows that `actors` nodes wrote in turn, one key each.
func rows(_ numbers: Range<Int>, actors: Int = 1, bytes: Int = 8) -> [Row] {
    numbers.map { number in
        let digits = String(number)
        let key = "config/service/" + String(repeating: "0", count: max(0, 7 - digits.utf8.count)) + digits
        let value = [UInt8](repeating: UInt8(number % 251), count: bytes)
        return .register(key, value, by: 100 + number % actors, counter: UInt64(number / actors + 1))
    }
}

/// A floor that a cluster may have after one collection.
let someFloor = CollectionFloor(cutoff: HybridTimestamp(wall: WallTime(milliseconds: 1_600_000_000_000)))

extension KernelBench {
    /// Takes over a store as from a disk, before the start.
    mutating func load(_ store: Store) {
        let me = kernel.membership.me.info
        let identity = KernelIdentity(
            id: kernel.selfID, name: me.name, address: me.address, tags: [], incarnationFence: 0, storeEpoch: 1)
        kernel = NodeKernel(
            configuration: kernel.configuration, identity: identity, recovered: RecoveredStore(store: store),
            clock: clock)
    }

    /// A started kernel with a store that knows `peers`.
    static func holding(
        _ store: Store, number: Int = 1, peers: [Int] = [2, 3],
        configure: (inout KernelConfiguration) -> Void = { _ in }
    ) -> KernelBench {
        var bench = KernelBench(number, configure: configure)
        bench.load(store)
        bench.handle(.start)
        bench.hear(peers.map { alive($0) }, from: peers[0])
        bench.pass(.zero)
        bench.settleGossip()
        bench.clear()
        return bench
    }

    /// Hears of another root until a synchronisation is started.
    mutating func differ(from number: Int) {
        let theirs = Digest(
            members: kernel.digest.members, store: Hash128(high: 1, low: 2), floor: kernel.digest.floor)
        for _ in 0..<2 {
            hear([.digest(theirs)], from: number)
            passAnswering(.milliseconds(600))
        }
        hear([.digest(theirs)], from: number)
    }
}

/// Two kernels; the streams that the first one opens end at the second. A frame takes one millisecond.
struct ExchangePair {
    struct Frame {
        var isFromLeft: Bool
        var packet: Packet
    }

    var left: KernelBench
    var right: KernelBench
    /// Frames carried so far, in order.
    private(set) var frames: [Frame] = []
    private var ends: [StreamID: StreamID] = [:]
    private var flights: [(at: Instant, toLeft: Bool, input: Input)] = []
    private(set) var isBroken = false

    init(_ left: KernelBench, _ right: KernelBench) {
        self.left = left
        self.right = right
        self.right.now = max(left.now, right.now)
        self.left.now = self.right.now
        self.left.log.removeAll()
        self.right.log.removeAll()
    }

    var now: Instant { left.now }

    /// Streams that are not closed yet.
    var streamsOpen: Int { ends.count }

    /// The left kernel starts an exchange because of a different root; until its stream is closed, or for `interval`.
    mutating func synchronise(_ interval: Interval = .seconds(20)) {
        left.differ(from: 2)
        right.now = left.now
        run(interval) { $0.streamsOpen == 0 && $0.flights.isEmpty }
    }

    /// Lets time pass in steps of a millisecond; other peers answer pings, datagrams to them are lost.
    mutating func run(_ interval: Interval, until isOver: (ExchangePair) -> Bool = { _ in false }) {
        let end = left.now + interval
        collect()
        while left.now < end, !isOver(self) {
            let now = left.now + .milliseconds(1)
            left.pass(until: now)
            right.pass(until: now)
            left.acknowledge()
            right.acknowledge()
            collect()
            let due = flights.filter { $0.at <= now }
            flights.removeAll { $0.at <= now }
            for flight in due {
                if flight.toLeft { left.handle(flight.input) } else { right.handle(flight.input) }
                collect()
            }
        }
    }

    /// The network ends all streams.
    mutating func breakStreams() {
        flights.removeAll()
        for (mine, theirs) in ends {
            left.handle(.streamClosed(mine, .reset))
            right.handle(.streamClosed(theirs, .reset))
        }
        ends.removeAll()
    }

    private mutating func collect() {
        let (mine, theirs) = (left.log, right.log)
        left.log.removeAll()
        right.log.removeAll()
        for action in mine { carry(action, isFromLeft: true) }
        for action in theirs { carry(action, isFromLeft: false) }
    }

    private mutating func carry(_ action: Action, isFromLeft: Bool) {
        let at = now + .milliseconds(1)
        func other(_ id: StreamID) -> StreamID? {
            isFromLeft ? ends[id] : ends.first { $0.value == id }?.key
        }
        switch action {
        case .openStream(let id, let to, _):
            guard isFromLeft, to == address(2) else {
                flights.append((at, isFromLeft, .streamClosed(id, .refused)))
                return
            }
            let accepted = StreamID(rawValue: id.rawValue * 2 + 100_001)
            ends[id] = accepted
            flights.append((at, false, .streamAccepted(accepted, from: Address(ipv4: 0x0a00_0001, port: 40_000))))
            flights.append((at, true, .streamOpened(id)))
        case .writeStream(let id, let packet), .offerStream(let id, let packet):
            guard let target = other(id) else { return }
            frames.append(Frame(isFromLeft: isFromLeft, packet: packet))
            flights.append((at, !isFromLeft, .streamPacket(target, packet)))
        case .closeStream(let id):
            guard let target = other(id) else { return }
            ends[isFromLeft ? id : target] = nil
            flights.append((at, !isFromLeft, .streamClosed(target, .finished)))
        case .send, .keepStream, .setTimer, .persist, .resolve, .reply, .event, .ringChanged, .strict, .stopped,
            .refused:
            break
        }
    }

    /// How often the left side waited for the right one's frames.
    var roundTrips: Int {
        var count = 0
        for (index, frame) in frames.enumerated() where !frame.isFromLeft {
            if index > 0, frames[index - 1].isFromLeft { count += 1 }
        }
        return count
    }

    /// Bytes of all frames but the rows in them, with a header for each.
    var bytesBesideRows: Int {
        frames.reduce(0) { sum, frame in
            frame.packet.messages.reduce(sum + FakeSizes.header + 4) { $0 + Self.bytes(of: $1) }
        }
    }

    var rowBytes: Int {
        frames.reduce(0) { sum, frame in
            frame.packet.messages.reduce(sum) { if case .row(let row) = $1 { $0 + row.estimatedBytes } else { $0 } }
        }
    }

    private static func bytes(of message: Message) -> Int {
        switch message {
        case .row: 0
        case .ranges(let ranges): 4 + ranges.encodedBytes
        default: FakeSizes.size(of: message)
        }
    }

    var messages: [Message] { frames.flatMap(\.packet.messages) }

    var isEqual: Bool { left.kernel.store.root == right.kernel.store.root }
}
