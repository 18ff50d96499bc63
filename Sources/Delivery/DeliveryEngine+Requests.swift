// SPDX-License-Identifier: Apache-2.0
// Owns what is asked of the engine by hand, and what it tells: status, plan, apply, the report to the fleet.

import AdminModel

extension DeliveryEngine {
    /// How every file stands, in order of the names.
    package func status() -> RenderStatusDocument {
        let now = parts.now()
        let wall = parts.wall()
        let files = statuses.values.sorted { $0.name < $1.name }.map { file in
            var file = file
            if file.state == .ok, schedule.isPending(file.name) { file.state = .pending }
            if let retry = schedule.retry(of: file.name) {
                let wait = max(retry - now, .zero) / .milliseconds(1)
                file.nextTryAt = Timestamp(milliseconds: wall.milliseconds + Int64(wait))
            }
            return file
        }
        return RenderStatusDocument(directory: parts.directory, files: files)
    }

    package func statistics() -> DeliveryCounters { counters }

    /// What applying these files (none: all) would change. Fails with `not_found` for a name that is not there.
    package func plan(_ names: [String]) async throws(AdminFailure) -> RenderPlanDocument {
        let names = try chosen(names)
        await enterPlan()
        defer { leavePlan() }
        var files = names.compactMap { name -> RenderPlanDocument.File? in
            guard specs[name] == nil else { return nil }
            let status = statuses[name]
            return RenderPlanDocument.File(name: name, change: .failed, error: status?.error ?? "it is gone")
        }
        let (rendered, failures) = await render(names.compactMap { specs[$0] }, noting: false)
        for (name, failure) in failures { files.append(planned(name, failure.sentence)) }
        do throws(DeliveryFailure) {
            let answer = try await parts.applier.perform(ApplyRequest(.compare, rendered))
            let answers = Dictionary(answer.files.map { ($0.name, $0) }) { first, _ in first }
            for file in rendered { files.append(planned(file, answers[file.name])) }
        } catch {
            for file in rendered { files.append(planned(file.name, error.sentence)) }
        }
        return RenderPlanDocument(files: Self.bounded(files.sorted { $0.name < $1.name }))
    }

    /// Renders these files (none: all) now and answers when they are in place or have failed. Fails with `not_found`
    /// for a name that is not there.
    package func apply(_ names: [String]) async throws(AdminFailure) -> RenderApplyDocument {
        let names = try chosen(names)
        // Each waits for those it shares a reload with, and for no others.
        let results = await withTaskGroup(of: (Int, BatchResult).self) { group in
            for (number, batch) in schedule.batches(of: names).enumerated() {
                group.addTask {
                    await self.enter(batch)
                    let result = await self.deliver(batch)
                    await self.leave(batch)
                    return (number, result)
                }
            }
            var results: [(Int, BatchResult)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
        let asked = Set(names)
        return RenderApplyDocument(
            files: status().files.filter { asked.contains($0.name) }, changed: results.flatMap(\.changed).sorted(),
            reloads: results.flatMap(\.reloads).map { reload in
                .init(
                    target: reload.target, files: reload.files, error: reload.failure,
                    isWithFormer: reload.isWithFormer)
            })
    }

    private func chosen(_ names: [String]) throws(AdminFailure) -> [String] {
        for name in names where statuses[name] == nil {
            throw AdminFailure(
                .notFound, "no file of \(parts.directory) is named \(name.quoted): see gossipctl render status")
        }
        return names.isEmpty ? statuses.keys.sorted() : names.sorted()
    }

    // MARK: Plans

    private func planned(_ name: String, _ error: String) -> RenderPlanDocument.File {
        RenderPlanDocument.File(name: name, destination: specs[name]?.destination, change: .failed, error: error)
    }

    private func planned(_ file: ApplyRequest.File, _ answer: ApplyAnswer.File?) -> RenderPlanDocument.File {
        guard let answer else { return planned(file.name, "the helper gave no answer for it") }
        var planned = RenderPlanDocument.File(
            name: file.name, destination: specs[file.name]?.destination, change: .unchanged, error: answer.reason)
        planned.version = ContentVersion.of(file.content)
        switch answer.outcome {
        case .unchanged: return planned
        case .differs, .applied:
            planned.change = answer.version == nil ? .created : .changed
            if let status = statuses[file.name], status.state.isTrouble, let error = status.error {
                planned.error = "at the last try it \(Self.words(status.state)): \(error)"
            }
        case .refused, .failed, .rolledBack: planned.change = .failed
        }
        // Without the old content there is nothing to compare with, unless there is no file.
        if answer.version == nil || answer.present != nil {
            (planned.old, planned.new) = (answer.present, file.content)
        }
        return planned
    }

    private static func words(_ state: RenderFileStatus.State) -> String {
        switch state {
        case .refused: "was refused"
        case .rolledBack: "was rolled back"
        case .failed, .ok, .pending, .unknown: "could not be put in place"
        }
    }

    /// Leaves contents out that are too large together.
    private static func bounded(_ files: [RenderPlanDocument.File]) -> [RenderPlanDocument.File] {
        var room = AdminLimits.renderShownBytesMax
        return files.map { file in
            var file = file
            let size = (file.old?.count ?? 0) + (file.new?.count ?? 0)
            if size > room { (file.old, file.new) = (nil, nil) } else { room -= size }
            return file
        }
    }

    // MARK: The report

    /// Has the report written soon when it says something new.
    func scheduleReport() {
        guard newReport != reported, reportDue == nil else { return }
        let soonest = parts.now() + Self.reportDelay
        reportDue = max(soonest, reportedAt.map { $0 + Self.reportIntervalMin } ?? soonest)
    }

    /// Somebody else may have written or removed this host's register.
    func reportMayBeGone() {
        guard reported != nil else { return }
        reportDue = reportDue ?? parts.now() + Self.reportIntervalMin
        isReportDoubtful = true
    }

    /// Writes the report when its time has come.
    func report() async {
        guard let due = reportDue, due <= parts.now() else { return }
        reportDue = nil
        if isReportDoubtful {
            isReportDoubtful = false
            reported = await parts.formerReport()
        }
        let new = newReport
        guard new != reported else { return }
        reportedAt = parts.now()
        if await parts.publish(new) {
            counters.reports += 1
            reported = new
        }
        // What changed meanwhile, or the same again when it could not be written.
        scheduleReport()
    }

    /// Nil when nothing is delivered here.
    private var newReport: RenderReport? {
        guard !statuses.isEmpty else { return nil }
        return RenderReport(files: statuses.values.sorted { $0.name < $1.name })
    }
}
