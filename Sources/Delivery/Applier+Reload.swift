// SPDX-License-Identifier: Apache-2.0
// Owns what follows a rename: each reload once, the former content back when it fails, and both also after a kill.

import Glibc

extension Applier {
    /// Runs the reloads of `entry` whose files are among `placed`, and strikes it out.
    func settle(
        _ entry: ReloadJournal.Entry?, _ answers: [ApplyAnswer.File], _ placed: Set<String>
    ) -> ApplyAnswer {
        var answer = ApplyAnswer(files: answers)
        guard let entry else { return answer }
        let pending = entry.pending
        for (index, reload) in pending.reloads.enumerated() {
            let files = pending.files.filter { $0.reload == index && placed.contains($0.name) }
            guard !files.isEmpty else { continue }
            let failure = run(reload)
            answer.reloads.append(ApplyAnswer.Reload(target: reload.target, files: files.map(\.name), failure: failure))
            guard let failure else { continue }
            putBack(files, reload, failure, &answer)
        }
        do throws(DeliveryFailure) {
            try journal.end(entry)
        } catch {
            // The next start reloads once more, which harms nobody.
            for index in answer.files.indices where answer.files[index].outcome == .applied {
                answer.files[index].reason = "it is in place, and may be reloaded once more: \(error.sentence)"
            }
        }
        for file in pending.files { discardFormer(file) }
        return answer
    }

    // MARK: After a kill

    /// A reload that an interrupted batch has left to do, with its place before all requests that concern it.
    package struct Leftover: Sendable {
        fileprivate enum Work: Sendable {
            case entry(ReloadJournal.Entry, ApplyTurns.Turn)
            /// The note could not be read.
            case problem(String)
        }
        fileprivate let work: Work
    }

    /// What interrupted batches have left to reload, for `makeGood` on any thread; removes temporary files beside the
    /// destinations. The first call gives all of it, further ones nothing, unless the note could not be read.
    package func prepare() -> [Leftover] {
        journal.open { entries, problem in
            var leftovers: [Leftover] = []
            if let problem { leftovers.append(Leftover(work: .problem(problem))) }
            for entry in entries {
                var lanes = Set(entry.pending.files.map { ApplyTurns.Lane.destination($0.destination) })
                lanes.formUnion(entry.pending.reloads.map { .reload($0.reload) })
                leftovers.append(Leftover(work: .entry(entry, turns.queue(lanes))))
            }
            // A note that could not be read may name any of them.
            guard problem == nil || !state.hasNote else { return leftovers }
            // The former contents are still needed when a reload fails.
            let kept = Set(entries.flatMap(\.pending.files).map(\.temporary))
            for spec in specs() {
                guard let file = try? DestinationFile(spec.destination) else { continue }
                _ = file.folder.removeTemporaries(of: file.name, except: kept)
            }
            state.removeTemporaries()
            return leftovers
        } ?? []
    }

    /// Reloads what was put in place before a kill, and puts the former contents back when that fails.
    package func makeGood(_ leftover: Leftover) -> ApplyAnswer {
        switch leftover.work {
        case .problem(let sentence):
            let target = settings.stateFolder + "/" + StateFolder.noteName
            return ApplyAnswer(files: [], reloads: [ApplyAnswer.Reload(target: target, files: [], failure: sentence)])
        case .entry(let entry, let turn):
            turns.wait(for: turn)
            defer { turns.leave(turn) }
            // A file that was not renamed yet is what it was, and asks for nothing.
            let placed = entry.pending.files.filter { Self.version(at: $0) == $0.version }
            let answers = placed.map { ApplyAnswer.File(name: $0.name, outcome: .applied, version: $0.version) }
            return settle(entry, answers, Set(placed.map(\.name)))
        }
    }

    /// Prepares, and makes all good.
    package func resume() -> ApplyAnswer {
        prepare().map(makeGood).reduce(into: ApplyAnswer(files: [])) { all, answer in
            all.files += answer.files
            all.reloads += answer.reloads
        }
    }

    /// Nil when it worked.
    private func run(_ reload: PendingReloads.Reload) -> String? {
        let words = reload.arguments(systemctl: settings.systemctl)
        do throws(DeliveryFailure) {
            let result = try CommandRunner.run(words, timeout: .milliseconds(reload.timeoutMilliseconds))
            return result.status == 0 ? nil : Self.failure("it", result)
        } catch { return error.sentence }
    }

    /// Puts former contents back after `failure` and reloads once more, so that the service has what is on disk.
    private func putBack(
        _ files: [PendingReloads.File], _ reload: PendingReloads.Reload, _ failure: String,
        _ answer: inout ApplyAnswer
    ) {
        var restored: [String: String?] = [:]
        var problems: [String: String] = [:]
        for file in files.reversed() {
            do throws(DeliveryFailure) {
                try Self.restore(file)
                restored[file.name] = .some(file.former)
            } catch { problems[file.name] = error.sentence }
        }
        let second = restored.isEmpty ? nil : run(reload)
        if !restored.isEmpty {
            answer.reloads.append(
                ApplyAnswer.Reload(
                    target: reload.target, files: files.map(\.name).filter { restored[$0] != nil }, failure: second,
                    isWithFormer: true))
        }
        for index in answer.files.indices {
            let name = answer.files[index].name
            if let former = restored[name] {
                answer.files[index].outcome = .rolledBack
                answer.files[index].version = former
                answer.files[index].reason =
                    "the reload of \(reload.target) failed, so the former content is back: \(failure)"
                    + (second.map { "; with the former content the reload failed as well: \($0)" } ?? "")
            } else if let problem = problems[name] {
                answer.files[index].reason =
                    "the reload of \(reload.target) failed: \(failure); the former content could not be put back:"
                    + " \(problem)"
            }
        }
    }

    /// The former content, or nothing when nothing was there.
    private static func restore(_ file: PendingReloads.File) throws(DeliveryFailure) {
        let destination = try DestinationFile(file.destination)
        guard try destination.present()?.version == file.version else {
            throw .file("\(file.destination) was changed by somebody else meanwhile and stays as it is")
        }
        if let former = file.former {
            guard version(file.temporary, in: destination) == former else {
                throw .file("the former content of \(file.destination) is gone: correct the file by hand")
            }
            guard destination.folder.rename(file.temporary, to: destination.name) == 0 else {
                throw DestinationFolder.failure("put back", file.destination, errno)
            }
        } else if destination.folder.remove(destination.name) != 0 {
            throw DestinationFolder.failure("remove", file.destination, errno)
        }
        try destination.folder.synchronise()
    }

    private func discardFormer(_ file: PendingReloads.File) {
        guard let destination = try? DestinationFile(file.destination) else { return }
        destination.folder.remove(file.temporary)
    }

    private static func version(at file: PendingReloads.File) -> String? {
        (try? DestinationFile(file.destination)).flatMap { try? $0.present()?.version }
    }

    private static func version(_ name: String, in destination: DestinationFile) -> String? {
        let path = destination.folder.path(of: name)
        return (try? DestinationFile(path)).flatMap { try? $0.present()?.version }
    }

    // MARK: Words

    /// Bytes of a command in a sentence.
    private static let nameBytesMax = 200

    /// `nginx -t ended with status 1: its last lines`
    static func failure(_ words: [String], _ result: CommandResult) -> String {
        failure(LastWords.head(of: words.joined(separator: " "), bytesMax: nameBytesMax), result)
    }

    private static func failure(_ name: String, _ result: CommandResult) -> String {
        // Some programs say on their output what is wrong.
        let text = result.errorText.isEmpty ? String(decoding: result.output, as: UTF8.self) : result.errorText
        let last = LastWords.of(text)
        return "\(name) ended with status \(result.status)" + (last.isEmpty ? "" : ": \(last)")
    }

    static func replace(_ mark: String, by text: String, in word: String) -> String {
        var result = ""
        var rest = word[...]
        while let place = rest.firstIndex(of: "{") {
            result += rest[..<place]
            if rest[place...].hasPrefix(mark) {
                result += text
                rest = rest[rest.index(place, offsetBy: mark.count)...]
            } else {
                result += "{"
                rest = rest[rest.index(after: place)...]
            }
        }
        return result + rest
    }
}
