// SPDX-License-Identifier: Apache-2.0
// Owns whose turn it is among requests that block: those that share a destination or a reload go one after the other.

import Glibc
import Synchronization

/// Lets requests that have nothing in common go at the same time, and keeps the others in the order they came in. It
/// holds as many as its callers have threads.
final class ApplyTurns: Sendable {
    /// What only one request at a time may touch.
    enum Lane: Hashable, Sendable {
        case destination(String)
        case reload(RenderSpec.Reload)
    }

    /// A place in the queue; to be given back with `leave`.
    struct Turn: Sendable {
        let lanes: Set<Lane>
        fileprivate let number: UInt64
        fileprivate let gate = Gate()
    }

    private struct Place {
        let turn: Turn
        var isOpen = false
    }

    private struct State {
        /// In the order of their coming.
        var places: [Place] = []
        var last: UInt64 = 0

        /// Opens each place that shares nothing with an earlier one: nobody is overtaken by whom it waits for.
        mutating func admit() {
            var taken: Set<Lane> = []
            for index in places.indices {
                if !places[index].isOpen, taken.isDisjoint(with: places[index].turn.lanes) {
                    places[index].isOpen = true
                    places[index].turn.gate.open()
                }
                taken.formUnion(places[index].turn.lanes)
            }
        }
    }

    private let state = Mutex(State())

    /// Takes a place behind everybody who is there.
    func queue(_ lanes: Set<Lane>) -> Turn {
        state.withLock { state in
            state.last += 1
            let turn = Turn(lanes: lanes, number: state.last)
            state.places.append(Place(turn: turn))
            state.admit()
            return turn
        }
    }

    /// Blocks until no earlier place has or wants one of the turn's lanes. Once for each turn.
    func wait(for turn: Turn) { turn.gate.wait() }

    /// Takes a place and blocks until its turn has come.
    func enter(_ lanes: Set<Lane>) -> Turn {
        let turn = queue(lanes)
        wait(for: turn)
        return turn
    }

    func leave(_ turn: Turn) {
        state.withLock { state in
            state.places.removeAll { $0.turn.number == turn.number }
            state.admit()
        }
    }

    /// Blocks one thread until another one opens it, once.
    ///
    /// Unchecked: the pointer never changes, what it points to is made for use by many threads (sem_overview(7)), and it
    /// is freed when neither side holds the gate any more.
    fileprivate final class Gate: @unchecked Sendable {
        private let semaphore: UnsafeMutablePointer<sem_t>

        init() {
            semaphore = .allocate(capacity: 1)
            semaphore.initialize(to: sem_t())
            let code = sem_init(semaphore, 0, 0)
            precondition(code == 0, "sem_init fails only for impossible values: errno \(errno)")
        }

        deinit {
            sem_destroy(semaphore)
            semaphore.deallocate()
        }

        func open() { sem_post(semaphore) }

        func wait() { while sem_wait(semaphore) != 0, errno == EINTR {} }
    }
}
