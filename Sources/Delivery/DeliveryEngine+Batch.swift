// SPDX-License-Identifier: Apache-2.0
// Owns one batch: inputs of one moment, each file rendered alone, one request to whoever writes, what came of it.

import AdminModel

extension DeliveryEngine {
    /// What a batch did.
    struct BatchResult {
        var changed: [String] = []
        var reloads: [ApplyAnswer.Reload] = []
    }

    /// Renders these files and has them put in place. Names without a readable description are left out.
    func deliver(_ names: [String]) async -> BatchResult {
        schedule.take(names)
        let batch = names.compactMap { specs[$0] }
        let (rendered, failures) = await render(batch, noting: true)
        for (name, failure) in failures { fail(name, .failed, failure.sentence) }
        var result = BatchResult()
        guard !rendered.isEmpty else {
            scheduleReport()
            return result
        }
        do throws(DeliveryFailure) {
            let answer = try await parts.applier.perform(ApplyRequest(.apply, rendered))
            result.reloads = answer.reloads
            for reload in answer.reloads { note(reload) }
            let answers = Dictionary(answer.files.map { ($0.name, $0) }) { first, _ in first }
            for file in rendered where note(answers[file.name], of: file) { result.changed.append(file.name) }
        } catch {
            for file in rendered { fail(file.name, .failed, error.sentence) }
        }
        scheduleReport()
        return result
    }

    /// Renders each file alone, from inputs that are all of one moment.
    func render(
        _ batch: [RenderSpec], noting: Bool
    ) async -> (files: [ApplyRequest.File], failures: [(name: String, DeliveryFailure)]) {
        var files: [ApplyRequest.File] = []
        var failures: [(name: String, DeliveryFailure)] = []
        let together = try? await parts.fleet.read(batch.flatMap(\.readInputs))
        var rest = together.map { $0[...] }
        for spec in batch {
            let inputs = spec.readInputs
            do throws(DeliveryFailure) {
                let contents: [InputContent]
                if let all = rest, all.count >= inputs.count {
                    contents = Array(all.prefix(inputs.count))
                    rest = all.dropFirst(inputs.count)
                } else {
                    // One file's inputs that cannot be read must not keep the others from theirs.
                    contents = try await read(inputs)
                }
                if noting { memberSights[spec.name] = MemberSight.all(in: contents) }
                files.append(ApplyRequest.File(name: spec.name, content: try await parts.render(spec, contents)))
            } catch {
                failures.append((spec.name, error))
            }
        }
        return (files, failures)
    }

    private func read(_ inputs: [RenderSpec.Input]) async throws(DeliveryFailure) -> [InputContent] {
        do throws(AdminFailure) {
            return try await parts.fleet.read(inputs)
        } catch {
            throw .missing(error.message)
        }
    }

    // MARK: Results

    /// Takes the answer for one file; whether it has got a new content.
    private func note(_ answer: ApplyAnswer.File?, of file: ApplyRequest.File) -> Bool {
        guard let answer else {
            fail(file.name, .failed, "the helper gave no answer for it: are both of one version?")
            return false
        }
        switch answer.outcome {
        case .unchanged:
            counters.unchanged += 1
            succeed(file.name, version: answer.version)
            return false
        case .applied:
            counters.applied += 1
            statuses[file.name]?.appliedAt = parts.wall()
            if let destination = specs[file.name]?.destination {
                parts.tell(.applied(name: file.name, destination: destination, version: answer.version))
            }
            succeed(file.name, version: answer.version)
            return true
        case .refused:
            statuses[file.name]?.version = answer.version
            fail(file.name, .refused, answer.reason ?? "it was refused without a reason")
            return false
        case .failed:
            statuses[file.name]?.version = answer.version
            fail(file.name, .failed, answer.reason ?? "it could not be written, and the helper does not say why")
            return false
        case .rolledBack:
            statuses[file.name]?.version = answer.version
            fail(file.name, .rolledBack, answer.reason ?? "the reload failed")
            return false
        case .differs:
            fail(file.name, .failed, "the helper compared instead of applying: are both of one version?")
            return false
        }
    }

    private func note(_ reload: ApplyAnswer.Reload) {
        guard reload.failure == nil else {
            counters.reloadsFailed += 1
            return
        }
        counters.reloads += 1
        parts.tell(.reloaded(target: reload.target, files: reload.files))
    }

    private func succeed(_ name: String, version: String?) {
        schedule.succeeded(name)
        guard var status = statuses[name] else { return }
        if status.state.isTrouble, let destination = status.destination {
            parts.tell(.recovered(name: name, destination: destination))
        }
        status.state = .ok
        status.version = version
        status.error = nil
        status.errorSince = nil
        statuses[name] = status
    }

    /// Notes that a try has failed; tells it when it is news.
    private func fail(_ name: String, _ state: RenderFileStatus.State, _ sentence: String) {
        switch state {
        case .refused: counters.refused += 1
        case .rolledBack: counters.rolledBack += 1
        case .failed, .ok, .pending, .unknown: counters.failed += 1
        }
        // Another try puts the content in place and reloads again: that is not to happen every few seconds.
        schedule.failed(name, now: parts.now(), state == .rolledBack ? .long : .growing)
        guard var status = statuses[name] else { return }
        let isNews = status.state != state || status.error != sentence
        if !status.state.isTrouble { status.errorSince = parts.wall() }
        status.state = state
        status.error = sentence
        statuses[name] = status
        if isNews { parts.tell(.trouble(status)) }
    }
}
