// SPDX-License-Identifier: Apache-2.0
// Owns putting one batch of files in place: what is refused, what is checked, and in which order it becomes visible.

import Glibc

/// Writes the files of descriptions. It blocks. Requests that share neither a destination nor a reload go at the same
/// time, the others one after the other; in one process at a time per state folder.
package struct Applier: Sendable {
    package struct Settings: Sendable {
        /// Where it is noted what has to be reloaded; created, mode 0700, when its parent exists.
        package var stateFolder: String
        /// The program that reloads units, with its first arguments.
        package var systemctl: [String]

        package init(stateFolder: String, systemctl: [String] = ["systemctl"]) {
            self.stateFolder = stateFolder
            self.systemctl = systemctl
        }
    }

    /// Bytes of one file's content.
    package static let contentBytesMax = 4 << 20
    /// Bytes of one present content that `compare` hands out,
    package static let presentBytesMax = 1 << 20
    /// and of all of them in one answer.
    static let presentBytesTotalMax = 16 << 20

    let settings: Settings
    private let listing: @Sendable () -> RenderListing
    let turns = ApplyTurns()
    let journal: ReloadJournal

    private static func state(_ settings: Settings) -> StateFolder { StateFolder(path: settings.stateFolder) }

    var state: StateFolder { Self.state(settings) }

    /// - Parameter listing: the descriptions and what is wrong with others; asked anew for each request.
    package init(_ settings: Settings, listing: @escaping @Sendable () -> RenderListing) {
        self.settings = settings
        self.listing = listing
        journal = ReloadJournal(Self.state(settings))
    }

    /// Answers for each file of the request, in its order, when its turn has come; `compare` needs none. What an
    /// interrupted batch left to reload is made good before, and is among the answer's reloads.
    package func perform(_ request: ApplyRequest) -> ApplyAnswer {
        guard request.operation == .apply else { return compare(request.files, known) }
        let earlier = resume()
        var known = known
        var turn = turns.enter(Self.lanes(request.files, known))
        defer { turns.leave(turn) }
        // While it waited, the descriptions may have changed, and with them whom it has to wait for.
        while true {
            known = self.known
            let lanes = Self.lanes(request.files, known)
            if lanes.isSubset(of: turn.lanes) { break }
            turns.leave(turn)
            turn = turns.enter(lanes)
        }
        var answer = apply(request.files, known)
        answer.reloads = earlier.reloads + answer.reloads
        return answer
    }

    func specs() -> [RenderSpec] { listing().specs }

    /// The descriptions as they are at one moment.
    private struct Descriptions {
        private let specs: [String: RenderSpec]
        private let problems: [RenderProblem]

        init(_ listing: RenderListing) {
            specs = Dictionary(listing.specs.map { ($0.name, $0) }) { _, last in last }
            problems = listing.problems
        }

        subscript(name: String) -> RenderSpec? { specs[name] }

        /// Why there is none of this name: what is wrong with its file, or with the folder.
        func problem(of name: String) -> String {
            problems.first { $0.name == name || $0.name.isEmpty }?.sentence
                ?? "there is no \(name).toml where the helper looks: see --directory of gossipd-apply.service"
        }
    }

    private var known: Descriptions { Descriptions(listing()) }

    private static func lanes(_ files: [ApplyRequest.File], _ known: Descriptions) -> Set<ApplyTurns.Lane> {
        var lanes: Set<ApplyTurns.Lane> = []
        for spec in files.compactMap({ known[$0.name] }) {
            lanes.insert(.destination(spec.destination))
            if let reload = spec.reload { lanes.insert(.reload(reload)) }
        }
        return lanes
    }

    // MARK: One file

    /// What is asked for one file, looked at.
    private struct Candidate {
        var spec: RenderSpec
        var file: DestinationFile
        var present: PresentFile?
        var rights: FileRights
        var content: [UInt8]
        /// Why the content may not replace what is there.
        var refusal: String?
        /// What is to be done to the destination; nil when it is as it should be.
        var difference: String?
        var isNewContent: Bool
    }

    private func look(
        _ file: ApplyRequest.File, _ known: Descriptions
    ) throws(DeliveryFailure) -> Candidate {
        guard let spec = known[file.name] else {
            throw .refused("its description cannot be used: \(known.problem(of: file.name))")
        }
        guard file.content.count <= Self.contentBytesMax else {
            throw .refused(
                "the result has \(file.content.count) bytes, more than \(Self.contentBytesMax): split \(file.name)")
        }
        let rights = try FileRights(spec)
        let destination = try DestinationFile(spec.destination)
        let present = try destination.present()
        let isNewContent = present?.content != file.content
        let difference =
            present.map { isNewContent ? "its content differs" : rights.difference(from: $0) }
            ?? "nothing is there yet"
        return Candidate(
            spec: spec, file: destination, present: present, rights: rights, content: file.content,
            refusal: isNewContent ? Self.refusal(of: file.content, over: present, spec) : nil,
            difference: difference, isNewContent: isNewContent)
    }

    /// Why `content` is too little to be believed; nil when it is enough.
    private static func refusal(of content: [UInt8], over present: PresentFile?, _ spec: RenderSpec) -> String? {
        // Space, and tab to carriage return.
        let isEmpty = content.allSatisfy { $0 == 0x20 || (0x09...0x0d).contains($0) }
        if isEmpty {
            guard !spec.allowEmpty else { return nil }
            return "the result is empty: look at its keys, or set allow_empty = true in \(spec.name).toml"
        }
        guard let present else { return nil }
        guard content.count * 100 < present.content.count * spec.sizeMinPercent else { return nil }
        return "the result has \(content.count) bytes where the present file has \(present.content.count), less than"
            + " \(spec.sizeMinPercent) %: look at its keys, or lower size_min_percent in \(spec.name).toml"
    }

    // MARK: compare

    private func compare(_ files: [ApplyRequest.File], _ known: Descriptions) -> ApplyAnswer {
        var room = Self.presentBytesTotalMax
        return ApplyAnswer(
            files: files.map { file in
                do throws(DeliveryFailure) {
                    let candidate = try look(file, known)
                    var answer = ApplyAnswer.File(
                        name: file.name, outcome: candidate.difference == nil ? .unchanged : .differs,
                        reason: candidate.isNewContent ? nil : candidate.difference,
                        version: candidate.present?.version)
                    if let refusal = candidate.refusal {
                        (answer.outcome, answer.reason) = (.refused, refusal)
                    } else if candidate.difference != nil, let failure = candidate.file.folder.writeFailure {
                        (answer.outcome, answer.reason) = (.failed, failure.sentence)
                    }
                    if let content = candidate.present?.content, content.count <= min(room, Self.presentBytesMax) {
                        answer.present = content
                        room -= content.count
                    }
                    return answer
                } catch {
                    return ApplyAnswer.File(name: file.name, outcome: Self.outcome(error), reason: error.sentence)
                }
            })
    }

    /// For a file of which it is not known what is there.
    private static func unseen(_ name: String) -> ApplyAnswer.File {
        var answer = ApplyAnswer.File(name: name, outcome: .refused)
        answer.isSeen = false
        return answer
    }

    private static func outcome(_ failure: DeliveryFailure) -> ApplyAnswer.Outcome {
        switch failure {
        case .refused: .refused
        case .description, .missing, .template, .helper, .command, .file: .failed
        }
    }

    // MARK: apply

    /// A file that has passed its check.
    private struct Ready {
        var index: Int
        var candidate: Candidate
        var staged: StagedFile
        /// Into the batch's reloads; nil when nobody has to hear of it.
        var reload: Int?
    }

    private func apply(_ files: [ApplyRequest.File], _ known: Descriptions) -> ApplyAnswer {
        var answers: [ApplyAnswer.File] = []
        var ready: [Ready] = []
        var seen: Set<String> = []
        for (index, file) in files.enumerated() {
            do throws(DeliveryFailure) {
                guard seen.insert(file.name).inserted else {
                    throw .file("\(file.name) is twice in one request: only the first one counts")
                }
                let candidate = try look(file, known)
                answers.append(
                    ApplyAnswer.File(name: file.name, outcome: .unchanged, version: candidate.present?.version))
                if let refusal = candidate.refusal { throw .refused(refusal) }
                guard candidate.difference != nil else { continue }
                let staged = try candidate.file.stage(file.content, candidate.rights)
                do throws(DeliveryFailure) {
                    try check(candidate.spec, staged, file.content)
                } catch {
                    staged.discard()
                    throw error
                }
                ready.append(Ready(index: index, candidate: candidate, staged: staged))
            } catch {
                if answers.count == index { answers.append(Self.unseen(file.name)) }
                answers[index].outcome = Self.outcome(error)
                answers[index].reason = error.sentence
            }
        }
        let entry = note(&ready, &answers)
        let placed = place(ready, &answers)
        return settle(entry, answers, placed)
    }

    /// Runs the description's check on the staged file, which has to be the same afterwards.
    private func check(_ spec: RenderSpec, _ staged: StagedFile, _ content: [UInt8]) throws(DeliveryFailure) {
        guard let check = spec.check else { return }
        let path = staged.folder.path(of: staged.temporary)
        let words = check.map { Self.replace(RenderRules.fileMark, by: path, in: $0) }
        let witness = try StagedWitness(staged)
        let result: CommandResult
        do throws(DeliveryFailure) {
            result = try CommandRunner.run(words, timeout: spec.checkTimeout)
        } catch {
            throw .command(
                "its check could not be done: \(error.sentence); correct check or check_timeout in \(spec.name).toml")
        }
        guard result.status == 0 else { throw .refused("its check failed: " + Self.failure(check, result)) }
        guard witness.isUnchanged(content) else {
            throw .command(
                "its check changed the file: a check may only read {file}, so correct check in \(spec.name).toml")
        }
    }

    /// Chooses reloads for what has passed, and notes them before anything is renamed. What cannot be noted has failed.
    private func note(_ ready: inout [Ready], _ answers: inout [ApplyAnswer.File]) -> ReloadJournal.Entry? {
        var pending = PendingReloads()
        var indices: [RenderSpec.Reload: Int] = [:]
        for index in ready.indices {
            let candidate = ready[index].candidate
            // Owner and mode count when a service opens the file; there is nothing new to read in it.
            guard let reload = candidate.spec.reload, candidate.isNewContent else { continue }
            let number = indices[reload] ?? pending.reloads.count
            let entry = PendingReloads.Reload(reload, timeout: candidate.spec.reloadTimeout)
            if number == pending.reloads.count {
                indices[reload] = number
                pending.reloads.append(entry)
            } else {
                let longest = max(pending.reloads[number].timeoutMilliseconds, entry.timeoutMilliseconds)
                pending.reloads[number].timeoutMilliseconds = longest
            }
            ready[index].reload = number
            pending.files.append(
                PendingReloads.File(
                    name: candidate.spec.name, destination: candidate.spec.destination,
                    temporary: ready[index].staged.temporary, version: ContentVersion.of(candidate.content),
                    former: candidate.present?.version, reload: number))
        }
        guard !pending.files.isEmpty else { return nil }
        do throws(DeliveryFailure) {
            return try journal.begin(pending)
        } catch {
            for item in ready where item.reload != nil {
                item.staged.discard()
                answers[item.index].outcome = .failed
                answers[item.index].reason = "its reload could not be noted before: \(error.sentence)"
            }
            ready.removeAll { $0.reload != nil }
            return nil
        }
    }

    /// Renames what is ready; the names of the files that are in place.
    private func place(_ ready: [Ready], _ answers: inout [ApplyAnswer.File]) -> Set<String> {
        var placed: Set<String> = []
        var folders: [String: (DestinationFolder, [Int])] = [:]
        for item in ready {
            let (folder, name) = (item.staged.folder, item.staged.name)
            // The former content stays under the temporary name until the reload has succeeded.
            let keeps = item.reload != nil && item.candidate.present != nil
            let code =
                keeps
                ? folder.exchange(item.staged.temporary, with: name) : folder.rename(item.staged.temporary, to: name)
            guard code == 0 else {
                answers[item.index].outcome = .failed
                answers[item.index].reason =
                    DestinationFolder.failure("put in place", item.candidate.spec.destination, errno).sentence
                item.staged.discard()
                continue
            }
            placed.insert(item.candidate.spec.name)
            answers[item.index].outcome = .applied
            answers[item.index].version = ContentVersion.of(item.candidate.content)
            folders[folder.path, default: (folder, [])].1.append(item.index)
        }
        for (folder, indices) in folders.values {
            do throws(DeliveryFailure) {
                try folder.synchronise()
            } catch {
                for index in indices {
                    answers[index].reason = "it is in place, but may be lost by a power cut: \(error.sentence)"
                }
            }
        }
        return placed
    }
}
