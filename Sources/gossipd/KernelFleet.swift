// SPDX-License-Identifier: Apache-2.0
// Owns the node as delivery sees it: inputs of one moment from the kernel, its changes, this host's report.

import AdminModel
import ClusterTypes
import Delivery
import NodeKernel
import StoreCore

struct KernelFleet: FleetView {
    /// Keys of one prefix that a template may see.
    private static let prefixKeysMax = 50_000

    let perform: @Sendable (Command) async -> Reply
    let hub: EventHub

    func read(_ inputs: [RenderSpec.Input]) async throws(AdminFailure) -> [InputContent] {
        let reply = await perform(.survey(inputs.map(Self.item)))
        if case .failure(let failure) = reply { throw AdminFailure(failure) }
        guard case .survey(let results) = reply, results.count == inputs.count else { throw .unexpectedReply }
        var contents: [InputContent] = []
        for (input, result) in zip(inputs, results) { contents.append(try Self.content(input, result)) }
        return contents
    }

    func changes() -> AsyncStream<FleetChange> { hub.changes.changes() }

    private static func item(_ input: RenderSpec.Input) -> SurveyItem {
        switch input {
        case .key(let key, _), .set(let key, _): .key(key.description)
        case .prefix(let prefix): .prefix(prefix.description, limit: prefixKeysMax)
        case .members: .members
        }
    }

    private static func content(
        _ input: RenderSpec.Input, _ result: SurveyResult
    ) throws(AdminFailure) -> InputContent {
        switch (input, result) {
        case (.key(let key, _), .key(let found)), (.set(let key, _), .key(let found)):
            return .key(found.map { KernelNode.keyDocument($0.view, author: $0.author, key: key) })
        case (.prefix(let prefix), .keys(let found, let isWhole)):
            guard isWhole else {
                throw AdminFailure(
                    .tooLarge,
                    "there are more keys below \(prefix.description.quoted) than one file may be made of: name a longer prefix"
                )
            }
            var documents: [KeyDocument] = []
            for (view, author) in found where prefix.shows(view.key) {
                documents.append(KernelNode.keyDocument(view, author: author, key: try ConfigurationKey(view.key)))
            }
            return .keys(documents)
        case (.members(let filter), .members(let views)):
            return .members(views.map(KernelNode.document).filter(filter.accepts))
        case (.key, _), (.set, _), (.prefix, _), (.members, _):
            throw .unexpectedReply
        }
    }
}
