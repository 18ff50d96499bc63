// SPDX-License-Identifier: Apache-2.0
// Owns which inputs a file has and in which order they are read.

import AdminModel

extension RenderSpec {
    /// What is read before the file is rendered: a template's inputs in order of their names, or the one key.
    package var readInputs: [Input] {
        switch source {
        case .key(let key): [.key(key, default: nil)]
        case .template, .templateFile: inputs.sorted { $0.key < $1.key }.map(\.value)
        }
    }
}
