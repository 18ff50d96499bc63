// SPDX-License-Identifier: Apache-2.0
// Owns how contents travel to the helper and back: in base64, where a list of numbers would be four times as long.

import AdminModel

extension ApplyRequest.File {
    private enum CodingKeys: String, CodingKey {
        case name
        case content = "content_base64"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        guard let bytes = ByteText.join(text: nil, base64: try container.decode(String.self, forKey: .content)) else {
            throw DecodingError.dataCorruptedError(
                forKey: .content, in: container, debugDescription: "this is not base64")
        }
        content = bytes
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(ByteText.base64(content), forKey: .content)
    }
}

extension ApplyAnswer.File {
    private enum CodingKeys: String, CodingKey {
        case name
        case outcome
        case reason
        case version
        case present = "present_base64"
        case isSeen = "seen"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        outcome = try container.decode(ApplyAnswer.Outcome.self, forKey: .outcome)
        reason = try container.decodeIfPresent(String.self, forKey: .reason)
        version = try container.decodeIfPresent(String.self, forKey: .version)
        present = ByteText.join(text: nil, base64: try container.decodeIfPresent(String.self, forKey: .present))
        isSeen = try container.decodeIfPresent(Bool.self, forKey: .isSeen) ?? true
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(outcome, forKey: .outcome)
        try container.encodeIfPresent(reason, forKey: .reason)
        try container.encodeIfPresent(version, forKey: .version)
        try container.encodeIfPresent(present.map(ByteText.base64), forKey: .present)
        if !isSeen { try container.encode(isSeen, forKey: .isSeen) }
    }
}

extension ApplyAnswer.Reload {
    private enum CodingKeys: String, CodingKey {
        case target
        case files
        case failure
        case isWithFormer = "with_former"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        target = try container.decode(String.self, forKey: .target)
        files = try container.decode([String].self, forKey: .files)
        failure = try container.decodeIfPresent(String.self, forKey: .failure)
        isWithFormer = try container.decodeIfPresent(Bool.self, forKey: .isWithFormer) ?? false
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(target, forKey: .target)
        try container.encode(files, forKey: .files)
        try container.encodeIfPresent(failure, forKey: .failure)
        if isWithFormer { try container.encode(isWithFormer, forKey: .isWithFormer) }
    }
}
