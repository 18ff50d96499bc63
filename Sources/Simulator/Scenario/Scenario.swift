// SPDX-License-Identifier: Apache-2.0
// Owns a scenario as values: the cluster, what happens when, and what must be seen.

import ClusterTypes
import RaftCore
import SWIMCore
import StrictGroup

/// What a scenario file says.
package struct Scenario: Sendable {
    package var name: String
    /// Nodes in the cluster. Default 5; 1...`nodesMax`.
    package var nodes = 5
    /// The first so many nodes are everybody's seeds. Default 3.
    package var seeds = 3
    /// The first starts are spread evenly over this. Default 1 s.
    package var startSpread = Interval.seconds(1)
    /// All nodes start at once and know each other: no formation.
    package var isPreformed = false
    /// How long the simulation runs. Default 60 s.
    package var duration = Interval.seconds(60)
    package var profile = SWIMConfiguration.Profile.lan
    /// In place of the kernel's defaults: how old what is dead must be, how often the collector tries, and when a failed
    /// member is dropped.
    package var grace: Interval?
    package var collectionInterval: Interval?
    package var failedRetention: Interval?
    /// Which keys are strict, and how many vote on them; nil: none are.
    package var strict: StrictSetting?
    /// Nodes that do not start by themselves.
    package var held: [NodeSelector] = []
    package var steps: [Step] = []
    package var expectations: [Expectation] = []

    package static let nodesMax = 10_000

    package struct StrictSetting: Hashable, Sendable {
        package var prefix: String
        package var voters: Int
        /// Entries after which a snapshot is made, about; small, so that runs meet some.
        package var logBytes: Int
        /// Groups that there may be: more than one where clusters that were founded apart meet, or a majority is lost for good. The
        /// log and what clients see is then judged of the first one alone.
        package var groups: Int

        var configuration: StrictConfiguration {
            var configuration = StrictConfiguration(prefixes: [prefix], voters: .count(voters))
            configuration.raft.snapshotLogBytes = logBytes
            configuration.raft.entriesKept = 50
            configuration.raft.snapshotChunkBytesMax = 1_024
            return configuration
        }
    }

    package init(name: String) { self.name = name }

    /// Something that happens, once or again and again.
    package struct Step: Sendable {
        package var at: Interval
        /// Time between repetitions and for how long they go on; nil for once.
        package var repetition: (every: Interval, during: Interval)?
        package var action: Action
        /// Where it is written, for messages.
        package var line: Int
        package var text: String

        /// When the last repetition is over.
        package var end: Interval { at + (repetition?.during ?? .zero) }
    }

    /// What can happen.
    package enum Action: Sendable {
        case start(NodeSelector)
        /// kill -9: the process is gone, its host answers with refusals.
        case kill(NodeSelector)
        /// The host is gone: nothing answers.
        case hostDown(NodeSelector)
        /// The process is killed and comes back after a while; in order, it says farewell before, as for a restart.
        case bounce(NodeSelector, down: Interval, isOrderly: Bool)
        /// The same to one after the other.
        case roll(NodeSelector, down: Interval, every: Interval)
        case leave(NodeSelector)
        case forget(NodeSelector, by: NodeSelector)
        case tag(NodeSelector, Tag)
        /// The process does nothing for a while; what arrives waits, as far as the socket buffer goes.
        case stall(NodeSelector, Interval)
        /// Sending fails on the host itself for a while.
        case mute(NodeSelector, Interval)
        case cut(NodeSelector, NodeSelector)
        case mend(NodeSelector, NodeSelector)
        case partition([NodeSelector])
        case isolate(NodeSelector, Interval)
        case heal
        case link(LinkChange, from: NodeSelector, to: NodeSelector)
        case allLinks(LinkChange)
        case disk(latency: Interval, jitter: Interval, NodeSelector)
        case fault(DiskFault, NodeSelector)
        /// The wall clock jumps.
        case clockJump(NodeSelector, milliseconds: Int64)
        case clockRight(NodeSelector)
        /// The wall clock runs fast (positive) or slow, in millionths.
        case clockDrift(NodeSelector, Double)
        case write(NodeSelector, Write)
        /// Clients of the strict group: each does something random with one or two of so many keys under the prefix; so many of them
        /// come to their node as one input.
        case call(NodeSelector, keys: Int, together: Int = 1)
        /// A change of the group, asked of the first node: the second are added to it or removed.
        case strictAdd(NodeSelector, by: NodeSelector)
        case strictRemove(NodeSelector, by: NodeSelector)
        /// The leader hands over to whom it likes.
        case strictTransfer(by: NodeSelector)
        /// These go on alone.
        case strictRecover(NodeSelector)
        /// A client sends a user event; texts as in `Write`.
        case userEvent(NodeSelector, name: String, payload: String)
        /// Traffic is measured from here on for a while: the idle window.
        case measure(Interval)
        case note(String)
    }

    /// What can happen to a disk and what is on it. Those that replace the disk need a node that does not run.
    package enum DiskFault: Hashable, Sendable {
        case crash(CrashMode)
        /// No room for a while.
        case full(Interval)
        /// A record in the middle of the strict log no longer matches its checksum; of a node that does not run.
        case damage
        /// Nothing completes for a while.
        case stall(Interval)
        /// The next commit fails: the process ends with 74 and is started again so much later.
        case error(down: Interval)
        case save
        /// The disk is what was saved.
        case restore
        /// The disk is empty; the next process mints another identity.
        case wipe
        /// The disk is a copy of that of another node (counted from 0), with its identity or with one of its own.
        case clone(of: Int, isSameID: Bool)
    }

    /// A client's write. `{n}` in texts becomes the number of the repetition, `{node}` the node's name.
    package enum Write: Hashable, Sendable {
        case put(key: String, Value, ttl: Interval?)
        /// So many registers `KEY/1`, `KEY/2`... in one transaction.
        case transaction(key: String, count: Int, String)
        case delete(key: String)
        case add(key: String, String)
        case remove(key: String, String)
        case increment(key: String, Int64)
    }

    package enum Value: Hashable, Sendable {
        case text(String)
        /// So many bytes, different each time.
        case size(Int)
    }

    /// What must be seen.
    package struct Expectation: Sendable {
        package var condition: Condition
        /// Looked for from here on.
        package var from: Interval
        /// It must be seen within this; nil: it must hold at the end.
        package var within: Interval?
        package var line: Int
        package var text: String
    }

    package enum Condition: Hashable, Sendable {
        /// Every running node knows every running node.
        case formed
        /// The running nodes hold equal tables and stores, and the tables are true.
        case converged
        /// Every other running node says so of these.
        case failed(NodeSelector)
        case alive(NodeSelector)
        case left(NodeSelector)
        /// No node was called failed while it ran and could be reached.
        case noFalseFailures
        /// Of no node but these that was said.
        case noFalseFailuresBut(NodeSelector)
        /// Nobody was called failed at all, by anybody, but for these.
        case noFailures(but: NodeSelector?)
        /// Every running node counts so many active members.
        case members(Int)
        /// On every running node:
        case value(key: String, String)
        case counter(key: String, Int64)
        case missing(key: String)
        case element(key: String, String)
        case noElement(key: String, String)
        /// No running node's context, store or row has more.
        case actors(most: Int)
        case rows(most: Int)
        case versions(most: Int)
        /// Exactly so many writes wait in the import queue of these.
        case queued(NodeSelector, Int)
        /// Over all pairs of running nodes, the median of |estimated round trip - that of the links| / the latter; unknown
        /// pairs count as wrong.
        case estimates(offBy: Double)
        /// Every running node's store holds the strict keys as the state of its group has them.
        case strictAgreed
        /// Copies were corrected on no node so far, or on some.
        case strictCorrected(Bool)
        /// There is a leader and all running members have applied what it has.
        case strictSettled
    }
}

/// Why a scenario cannot be read or carried out. `reason` is a sentence without a full stop.
package struct ScenarioFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    /// 0 when the fault lies in no line.
    package var line: Int
    package var reason: String

    package init(file: String, line: Int, reason: String) {
        self.file = file
        self.line = line
        self.reason = reason
    }

    package var description: String { line > 0 ? "\(file):\(line): \(reason)" : "\(file): \(reason)" }
}
