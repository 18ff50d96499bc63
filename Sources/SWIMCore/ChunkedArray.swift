// SPDX-License-Identifier: Apache-2.0
// Owns the array whose copies share what they do not change.

/// An array in chunks of 2^`shift` elements. A copy shares all chunks; writing to an element copies its chunk alone, and
/// the list of chunks once. So thousands of tables that differ in a few rows cost little more than one.
package struct ChunkedArray<Element: Sendable>: RandomAccessCollection, Sendable {
    private var chunks: [[Element]] = []
    package private(set) var count = 0
    private let shift: Int

    /// - Parameter shift: 0...16; chunks have 2^shift elements.
    package init(shift: Int) {
        precondition((0...16).contains(shift), "chunks of 2^\(shift) elements")
        self.shift = shift
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { count }

    private var mask: Int { (1 << shift) - 1 }

    package subscript(index: Int) -> Element {
        // Inlined, so that who reads one field of an element does not copy all of it.
        @inline(__always) get { chunks[index >> shift][index & mask] }
        set { chunks[index >> shift][index & mask] = newValue }
    }

    package mutating func append(_ element: Element) {
        if count & mask == 0 {
            var chunk: [Element] = []
            // A small table takes no whole chunk.
            if count > 0 { chunk.reserveCapacity(1 << shift) }
            chunk.append(element)
            chunks.append(chunk)
        } else {
            chunks[count >> shift].append(element)
        }
        count += 1
    }

    @discardableResult
    package mutating func removeLast() -> Element {
        precondition(count > 0, "an empty array has no last element")
        count -= 1
        let last = chunks[count >> shift].removeLast()
        if count & mask == 0 { chunks.removeLast() }
        return last
    }

    /// Whether both hold the element at `index` in one piece of memory.
    package func sharesChunk(with other: ChunkedArray, at index: Int) -> Bool {
        chunks[index >> shift].withUnsafeBufferPointer { mine in
            other.chunks[index >> shift].withUnsafeBufferPointer { mine.baseAddress == $0.baseAddress }
        }
    }
}
