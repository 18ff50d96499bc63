// SPDX-License-Identifier: Apache-2.0
// Owns what follows a rename: each reload once, the former content back when it fails, and both also after a kill.

import Glibc

extension Applier {
    /// Runs the reloads of `pending` whose files are among `placed`, and strikes the note out.
    func settle(_ pending: PendingReloads, _ answers: [ApplyAnswer.File], _ placed: Set<String>) -> ApplyAnswer {
        var answer = ApplyAnswer(files: answers)
        for (index, reload) in pending.reloads.enumerated() {
            let files = pending.files.filter { $0.reload == index && placed.contains($0.name) }
            guard !files.isEmpty else { continue }
            let failure = run(reload)
            answer.reloads.append(ApplyAnswer.Reload(target: reload.target, files: files.map(\.name), failure: failure))
            guard let failure else { continue }
            putBack(files, reload, failure, &answer)
        }
        do throws(DeliveryFailure) {
            try state.clear()
        } catch {
            // The next run reloads once more, which harms nobody.
            for index in answer.files.indices where answer.files[index].outcome == .applied {
                answer.files[index].reason = "it is in place, and will be reloaded once more: \(error.sentence)"
            }
        }
        for file in pending.files { discardFormer(file) }
        return answer
    }

    /// What an interrupted batch has left to do.
    func makeGood() -> ApplyAnswer {
        let pending: PendingReloads
        do throws(DeliveryFailure) {
            guard let found = try state.read() else { return ApplyAnswer(files: []) }
            pending = found
        } catch {
            let target = settings.stateFolder + "/" + StateFolder.noteName
            return ApplyAnswer(
                files: [], reloads: [ApplyAnswer.Reload(target: target, files: [], failure: error.sentence)])
        }
        // A file that was not renamed yet is what it was, and asks for nothing.
        let placed = pending.files.filter { Self.version(at: $0) == $0.version }
        let answers = placed.map { ApplyAnswer.File(name: $0.name, outcome: .applied, version: $0.version) }
        return settle(pending, answers, Set(placed.map(\.name)))
    }

    /// Nil when it worked.
    private func run(_ reload: PendingReloads.Reload) -> String? {
        let words = reload.arguments(systemctl: settings.systemctl)
        do throws(DeliveryFailure) {
            let result = try CommandRunner.run(words, timeout: .milliseconds(reload.timeoutMilliseconds))
            return result.status == 0 ? nil : Self.failure(words, result)
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
                    target: reload.target, files: files.map(\.name).filter { restored[$0] != nil }, failure: second))
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

    /// Lines and bytes of a program's last words in a sentence.
    private static let lastLinesMax = 3
    private static let lastBytesMax = 600

    /// `nginx -t ended with status 1: its last lines`
    static func failure(_ words: [String], _ result: CommandResult) -> String {
        // Some programs say on their output what is wrong.
        let text = result.errorText.isEmpty ? String(decoding: result.output, as: UTF8.self) : result.errorText
        let lines = text.split(whereSeparator: \.isNewline).suffix(lastLinesMax)
        let last = String(decoding: lines.joined(separator: " / ").utf8.suffix(lastBytesMax), as: UTF8.self)
        let name = String(decoding: words.joined(separator: " ").utf8.prefix(lastBytesMax), as: UTF8.self)
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
