// SPDX-License-Identifier: Apache-2.0
// Owns one batch: inputs of one moment, each file rendered alone, one request to whoever writes, what came of it.

import AdminModel

extension DeliveryEngine {
    /// What a batch did.
    struct BatchResult {
        var changed: [String] = []
        var reloads: [ApplyAnswer.Reload] = []
    }

    /// Renders a batch that has begun, and has it put in place. Names without a readable description are left out.
    func deliver(_ begun: DeliverySchedule.Batch) async -> BatchResult {
        let batch = begun.names.compactMap { specs[$0] }
        let (rendered, failures) = await render(batch, noting: true)
        let known = Dictionary(batch.map { ($0.name, $0) }) { first, _ in first }
        for (name, failure) in failures { if let spec = known[name] { fail(spec, .failed, failure.sentence) } }
        var result = BatchResult()
        defer { scheduleReport() }
        guard !rendered.isEmpty else { return result }
        let files = rendered.compactMap { file in known[file.name].map { (file, spec: $0) } }
        do throws(DeliveryFailure) {
            let answer = try await parts.applier.perform(ApplyRequest(.apply, rendered))
            result.reloads = answer.reloads
            for reload in answer.reloads { note(reload) }
            let answers = Dictionary(answer.files.map { ($0.name, $0) }) { first, _ in first }
            let former = statuses
            for (file, spec) in files where note(answers[file.name], of: spec) { result.changed.append(file.name) }
            let isOver = files.contains { file, _ in
                former[file.name]?.state.isTrouble == true && statuses[file.name]?.state == .ok
            }
            if isOver { schedule.hasten(begun, now: parts.now()) }
        } catch {
            for (_, spec) in files { fail(spec, .failed, error.sentence) }
        }
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
    private func note(_ answer: ApplyAnswer.File?, of spec: RenderSpec) -> Bool {
        guard let answer else {
            fail(spec, .failed, "the helper gave no answer for it: are both of one version?")
            return false
        }
        // What is at the destination of a former description says nothing of this one.
        if answer.isSeen, isCurrent(spec) { statuses[spec.name]?.version = answer.version }
        switch answer.outcome {
        case .unchanged:
            counters.unchanged += 1
            succeed(spec)
            return false
        case .applied:
            counters.applied += 1
            if isCurrent(spec) { statuses[spec.name]?.appliedAt = parts.wall() }
            parts.tell(.applied(name: spec.name, destination: spec.destination, version: answer.version))
            succeed(spec)
            return true
        case .refused:
            fail(spec, .refused, answer.reason ?? "it was refused without a reason")
            return false
        case .failed:
            fail(spec, .failed, answer.reason ?? "it could not be written, and the helper does not say why")
            return false
        case .rolledBack:
            fail(spec, .rolledBack, answer.reason ?? "the reload failed")
            return false
        case .differs:
            fail(spec, .failed, "the helper compared instead of applying: are both of one version?")
            return false
        }
    }

    /// Whether the description is still the one that a batch was begun with. If not, the next batch will tell.
    private func isCurrent(_ spec: RenderSpec) -> Bool { specs[spec.name] == spec }

    private func note(_ reload: ApplyAnswer.Reload) {
        guard reload.failure == nil else {
            counters.reloadsFailed += 1
            return
        }
        counters.reloads += 1
        parts.tell(.reloaded(target: reload.target, files: reload.files, isWithFormer: reload.isWithFormer))
    }

    private func succeed(_ spec: RenderSpec) {
        let name = spec.name
        guard isCurrent(spec), var status = statuses[name] else { return }
        schedule.succeeded(name)
        if status.state.isTrouble { parts.tell(.recovered(name: name, destination: spec.destination)) }
        status.state = .ok
        status.error = nil
        status.errorSince = nil
        statuses[name] = status
    }

    /// Notes that a try has failed; tells it when it is news.
    private func fail(_ spec: RenderSpec, _ state: RenderFileStatus.State, _ sentence: String) {
        switch state {
        case .refused: counters.refused += 1
        case .rolledBack: counters.rolledBack += 1
        case .failed, .ok, .pending, .unknown: counters.failed += 1
        }
        let name = spec.name
        guard isCurrent(spec), var status = statuses[name] else { return }
        // Another try puts the content in place and reloads again: that is not to happen every few seconds.
        schedule.failed(name, now: parts.now(), state == .rolledBack ? .long : .growing)
        let isNews = status.state != state || status.error != sentence
        if !status.state.isTrouble { status.errorSince = parts.wall() }
        status.state = state
        status.error = sentence
        statuses[name] = status
        if isNews { parts.tell(.trouble(status)) }
    }
}
