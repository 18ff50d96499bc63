// SPDX-License-Identifier: Apache-2.0
// Owns what each node believes of each other node, as its events tell.

import ClusterTypes
import SWIMCore

/// A square of member states, and how many running nodes know each other.
package struct MembershipViews: Sendable {
    package enum View: UInt8, Sendable {
        case unknown
        case alive
        case suspect
        case failed
        case left

        var isActive: Bool { self == .alive || self == .suspect }
    }

    private let count: Int
    private var views: [View]
    private var running: [Bool]
    package private(set) var runningCount = 0
    /// How many members all running nodes together regard so, themselves aside; by the view's raw value.
    private var counts = [Int](repeating: 0, count: 5)
    /// Pairs of running nodes of which the first regards the second as active.
    private var knownPairs = 0

    package init(nodes: Int) {
        count = nodes
        views = Array(repeating: .unknown, count: nodes * nodes)
        running = Array(repeating: false, count: nodes)
    }

    package subscript(observer: Int, subject: Int) -> View { views[observer * count + subject] }
    package func isRunning(_ node: Int) -> Bool { running[node] }
    package var tally: (alive: Int, suspect: Int, failed: Int) {
        (counts[Int(View.alive.rawValue)], counts[Int(View.suspect.rawValue)], counts[Int(View.failed.rawValue)])
    }

    package var runningMask: [Bool] { running }
    package var runningNodes: [Int] { running.indices.filter { running[$0] } }

    /// Every running node knows every running node.
    package var isFormed: Bool { runningCount > 0 && knownPairs == runningCount * (runningCount - 1) }

    package mutating func set(_ view: View, of subject: Int, by observer: Int) {
        guard observer != subject else { return }
        let index = observer * count + subject
        if running[observer], running[subject] {
            if views[index].isActive { knownPairs -= 1 }
            if view.isActive { knownPairs += 1 }
        }
        if running[observer] {
            counts[Int(views[index].rawValue)] -= 1
            counts[Int(view.rawValue)] += 1
        }
        views[index] = view
    }

    /// `knowsAll`: it begins with regarding every other node as alive.
    package mutating func start(_ node: Int, knowsAll: Bool = false) {
        precondition(!running[node], "n\(node + 1) runs already")
        for subject in 0..<count { views[node * count + subject] = knowsAll && subject != node ? .alive : .unknown }
        if knowsAll { knownPairs += runningCount }
        counts[Int(knowsAll ? View.alive.rawValue : View.unknown.rawValue)] += count - 1
        running[node] = true
        runningCount += 1
        for observer in 0..<count where observer != node && running[observer] && self[observer, node].isActive {
            knownPairs += 1
        }
    }

    package mutating func end(_ node: Int) {
        guard running[node] else { return }
        for other in 0..<count where other != node && running[other] {
            if self[other, node].isActive { knownPairs -= 1 }
            if self[node, other].isActive { knownPairs -= 1 }
        }
        for subject in 0..<count where subject != node { counts[Int(self[node, subject].rawValue)] -= 1 }
        running[node] = false
        runningCount -= 1
    }

    /// How many members `observer` regards as active, itself included.
    package func activeCount(by observer: Int) -> Int {
        var active = 1
        for subject in 0..<count where subject != observer && self[observer, subject].isActive { active += 1 }
        return active
    }

    /// Every other running node regards all of `subjects` as `view`.
    package func agree(on subjects: [Int], _ view: View) -> Bool {
        for observer in 0..<count where running[observer] {
            for subject in subjects where subject != observer && self[observer, subject] != view { return false }
        }
        return true
    }
}
