// SPDX-License-Identifier: Apache-2.0
// Owns why something could not be delivered, as one sentence for the operator.

/// No case leaves a destination half written.
package enum DeliveryFailure: Error, Hashable, Sendable {
    /// A description or a template is wrong: file, line, key, reason.
    case description(String)
    /// A key, a set or a value that the template needs is not there or not text.
    case missing(String)
    /// The template could not be rendered.
    case template(String)
    /// The helper cannot be reached or speaks nonsense.
    case helper(String)
    /// A program could not be started, took too long or wrote too much.
    case command(String)
    /// Reading or writing a file failed.
    case file(String)
    /// Policy keeps the content out: it is in no description, empty, too small or too large, or its check said no.
    case refused(String)

    package var sentence: String {
        switch self {
        case .description(let text), .missing(let text), .template(let text), .helper(let text), .command(let text),
            .file(let text), .refused(let text):
            text
        }
    }
}
