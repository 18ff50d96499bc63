// SPDX-License-Identifier: Apache-2.0
// Owns the step from a file's bytes to a document, with errors that name the file.

extension TOMLDocument {
    /// Parses `bytes`, whatever they are.
    package static func parse(_ bytes: [UInt8], file: String) throws(ConfigurationError) -> TOMLDocument {
        func failure(_ reason: String, _ place: TOMLLocation?) -> ConfigurationError {
            ConfigurationError(problems: [
                .init(place: .file(file, line: place?.line, column: place?.column), reason: reason)
            ])
        }
        guard bytes.count <= textSizeMax else { throw failure("the file is larger than 1 MiB", nil) }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw failure("the file is not valid UTF-8", firstInvalid(bytes))
        }
        do throws(TOMLSyntaxError) {
            var parser = TOMLParser(bytes)
            return try parser.parse()
        } catch {
            throw failure("TOML syntax, column \(error.location.column): \(error.reason)", error.location)
        }
    }

    /// The place of the first byte that cannot be decoded.
    private static func firstInvalid(_ bytes: [UInt8]) -> TOMLLocation {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var place = TOMLLocation(line: 1, column: 1)
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            if scalar == "\n" {
                place = TOMLLocation(line: place.line + 1, column: 1)
            } else {
                place.column += 1
            }
        }
        return place
    }
}
