// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the sorted table.

import ClusterTypes
import Testing

@testable import StrictCore

@Suite("The sorted table")
struct SortedTableTests {
    @Test("it is a dictionary that is sorted, over many chunks", arguments: 1...3)
    func dictionary(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var table = SortedTable<Int, Int>()
        var model: [Int: Int] = [:]
        for round in 0..<8_000 {
            let key = rng.index(below: 3_000)
            // Grows, then shrinks.
            if rng.chance(round < 5_000 ? 0.8 : 0.2) {
                #expect(table.set(key, round) == model.updateValue(round, forKey: key))
            } else {
                #expect(table.remove(key) == model.removeValue(forKey: key))
            }
            #expect(table[key] == model[key])
            if round % 500 == 499 {
                table.checkInvariants()
                let sorted = model.keys.sorted()
                var listed: [Int] = []
                table.forEach { key, _ in listed.append(key) }
                #expect(listed == sorted)
                #expect(table.first(from: key)?.key == sorted.first { $0 >= key })
                #expect(table.first(after: key)?.key == sorted.first { $0 > key })
            }
        }
    }

    @Test("a copy keeps its content, and equality does not see the chunks")
    func copies() {
        var up = SortedTable<Int, Int>()
        var down = SortedTable<Int, Int>()
        for key in 0..<1_000 {
            up.set(key, key)
            down.set(999 - key, 999 - key)
        }
        #expect(up == down)
        let copy = up
        up.modify(500) { $0 = 0 }
        #expect(copy == down && !(up == down) && copy[500] == 500)
    }
}
