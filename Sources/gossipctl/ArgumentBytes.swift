// SPDX-License-Identifier: Apache-2.0
// Owns the arguments as bytes: what is not text is refused before Swift would repair it.

enum ArgumentBytes {
    /// Why these arguments, the program's name not among them, cannot be taken; nil when all are UTF-8. Swift puts
    /// U+FFFD in the place of other bytes, so that another value than the given one would be written.
    static func defect(in arguments: [[UInt8]]) -> String? {
        guard let index = arguments.firstIndex(where: { String(validating: $0, as: UTF8.self) == nil }) else {
            return nil
        }
        return "argument \(index + 1) is not UTF-8 text: give such bytes to kv put by --file or the standard input (-)"
    }

    /// The arguments of this process, without the program's name.
    static var ofProcess: [[UInt8]] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { text in
                var bytes: [UInt8] = []
                var next = text
                while next.pointee != 0 {
                    bytes.append(UInt8(bitPattern: next.pointee))
                    next += 1
                }
                return bytes
            }
        }
    }
}
