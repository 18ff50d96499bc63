// SPDX-License-Identifier: Apache-2.0
// Owns how many columns of a terminal a text takes.

extension StringProtocol {
    /// In columns. Terminals differ about what is new in Unicode; then a table is a little crooked.
    var displayedWidth: Int {
        utf8.allSatisfy { $0 < 0x80 } ? utf8.count : reduce(0) { $0 + $1.displayedWidth }
    }

    /// As much from the start as takes at most so many columns.
    func cut(toWidth width: Int) -> String {
        var taken = 0
        return String(
            prefix { character in
                taken += character.displayedWidth
                return taken <= width
            })
    }
}

extension Character {
    /// Wide and fullwidth letters by the blocks of Unicode's EastAsianWidth.txt, which the standard library lacks.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff,
        0xfe10...0xfe19, 0xfe30...0xfe6f, 0xff01...0xff60, 0xffe0...0xffe6, 0x17000...0x18cff, 0x1b000...0x1b2ff,
        0x20000...0x3fffd,
    ]

    /// 0, 1 or 2 columns: what is joined to a letter takes none of its own.
    var displayedWidth: Int {
        guard let first = unicodeScalars.first else { return 0 }
        if unicodeScalars.allSatisfy(\.takesNoRoom) { return 0 }
        // The variation selector 16 asks for the emoji of a letter that also has a plain form.
        let isEmoji = first.properties.isEmojiPresentation || unicodeScalars.contains { $0.value == 0xfe0f }
        return isEmoji || Self.wide.contains { $0.contains(first.value) } ? 2 : 1
    }
}

extension Unicode.Scalar {
    fileprivate var takesNoRoom: Bool {
        switch properties.generalCategory {
        case .nonspacingMark, .enclosingMark: true
        case .format: value != 0xad
        default: false
        }
    }
}
