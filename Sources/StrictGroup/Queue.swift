// SPDX-License-Identifier: Apache-2.0
// Owns a first-in, first-out list whose ends cost O(1) each.

struct Queue<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { head == elements.count }
    var first: Element? { isEmpty ? nil : elements[head] }

    mutating func append(_ element: Element) { elements.append(element) }

    /// Amortised O(1): what was taken is dropped when it is half of the whole.
    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = elements[head]
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: elements.count < 4_096)
            head = 0
        } else if head >= 64, head > elements.count / 2 {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    /// Everything, in order; the queue is empty afterwards.
    mutating func takeAll() -> [Element] {
        let all = Array(elements[head...])
        elements.removeAll()
        head = 0
        return all
    }
}
