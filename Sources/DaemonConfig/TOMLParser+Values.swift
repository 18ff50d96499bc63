// SPDX-License-Identifier: Apache-2.0
// Owns the reading of TOML's values: strings, numbers, dates, arrays.

extension TOMLParser {
    mutating func parseValue(_ path: [String]) throws(TOMLSyntaxError) -> TOMLTableBuilder.Value {
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .node(.string(try parseString()))
        case UInt8(ascii: "["): return .node(try parseArray(path))
        case UInt8(ascii: "{"): return try parseInlineTable(path)
        default: return .node(try parseWord())
        }
    }

    /// `[1, 2,]`, over several lines if need be.
    private mutating func parseArray(_ path: [String]) throws(TOMLSyntaxError) -> TOMLNode {
        advance()
        var elements: [TOMLNode] = []
        while true {
            try skipBlankLines()
            if current == UInt8(ascii: "]") { break }
            let element = path + ["[\(elements.count)]"]
            try note(element, location)
            switch try parseValue(element) {
            case .node(let node): elements.append(node)
            case .table(let table): elements.append(.table(table.members))
            case .tables: throw failure("a header inside an array")
            }
            try skipBlankLines()
            if current == UInt8(ascii: "]") { break }
            try expect(",", "\",\" or \"]\"")
        }
        advance()
        return .array(elements)
    }

    // MARK: Strings

    /// A string of any of the four forms.
    mutating func parseString() throws(TOMLSyntaxError) -> String {
        guard let quote = current else { throw failure("expected a string, found \(found)") }
        let isBasic = quote == UInt8(ascii: "\"")
        let isMultiline = peek(1) == quote && peek(2) == quote
        let start = location
        advance(isMultiline ? 3 : 1)
        if isMultiline { _ = try skipNewline() }
        var value: [UInt8] = []
        while true {
            guard let byte = current else { throw failure("a string without its end", at: start) }
            if byte == quote {
                if !isMultiline {
                    advance()
                    break
                }
                if peek(1) == quote, peek(2) == quote {
                    advance(3)
                    // Up to two quotes may stand before the closing three.
                    for _ in 0..<2 where current == quote {
                        value.append(quote)
                        advance()
                    }
                    break
                }
                value.append(byte)
                advance()
            } else if isBasic, byte == UInt8(ascii: "\\") {
                try parseEscape(into: &value, isMultiline: isMultiline)
            } else if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                guard isMultiline else { throw failure("a string without its end", at: start) }
                _ = try skipNewline()
                value.append(UInt8(ascii: "\n"))
            } else {
                guard !Self.isControl(byte) else { throw failure("a control character in a string") }
                value.append(byte)
                advance()
            }
        }
        return String(decoding: value, as: UTF8.self)
    }

    private mutating func parseEscape(into value: inout [UInt8], isMultiline: Bool) throws(TOMLSyntaxError) {
        let place = location
        advance()
        guard let kind = current else { throw failure("a string without its end", at: place) }
        let digits: Int
        switch kind {
        case UInt8(ascii: "b"): value.append(8)
        case UInt8(ascii: "t"): value.append(9)
        case UInt8(ascii: "n"): value.append(10)
        case UInt8(ascii: "f"): value.append(12)
        case UInt8(ascii: "r"): value.append(13)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): value.append(kind)
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            digits = kind == UInt8(ascii: "u") ? 4 : 8
            advance()
            return value += try parseScalar(digits: digits, at: place)
        default:
            guard isMultiline else { throw failure("unknown escape, found \(found) behind \"\\\\\"", at: place) }
            return try skipContinuation(at: place)
        }
        advance()
    }

    private mutating func parseScalar(digits: Int, at place: TOMLLocation) throws(TOMLSyntaxError) -> [UInt8] {
        var number: UInt32 = 0
        for _ in 0..<digits {
            guard let byte = current, byte < 0x80, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("an escape needs \(digits) hexadecimal digits", at: place)
            }
            number = number << 4 | UInt32(digit)
            advance()
        }
        guard let scalar = Unicode.Scalar(number) else {
            throw failure("an escape that is no Unicode scalar", at: place)
        }
        return Array(String(scalar).utf8)
    }

    /// A backslash at the end of a line: everything up to the next visible character is left out.
    private mutating func skipContinuation(at place: TOMLLocation) throws(TOMLSyntaxError) {
        skipSpace()
        guard try skipNewline() else { throw failure("unknown escape, found \(found) behind \"\\\\\"", at: place) }
        repeat { skipSpace() } while try skipNewline()
    }

    // MARK: Words: booleans, numbers, dates

    /// A boolean, a number or a date: everything up to a delimiter.
    private mutating func parseWord() throws(TOMLSyntaxError) -> TOMLNode {
        let place = location
        let start = offset
        while let byte = current, Self.isBareKey(byte) || "+.:".utf8.contains(byte) { advance() }
        var word = Array(text(from: start).utf8)
        // A date and a time may be parted by one space.
        if current == UInt8(ascii: " "), TOMLDate.isDate(word), let next = peek(1), (48...57).contains(next) {
            advance()
            while let byte = current, Self.isBareKey(byte) || "+.:".utf8.contains(byte) { advance() }
            word = Array(text(from: start).utf8)
        }
        guard !word.isEmpty else { throw failure("expected a value, found \(found)") }
        switch word {
        case Array("true".utf8): return .boolean(true)
        case Array("false".utf8): return .boolean(false)
        default: break
        }
        if TOMLDate.isDateOrTime(word) { return .date }
        if let integer = TOMLNumber.integer(word) {
            guard let value = integer.value else {
                throw failure("\(shown(text(from: start))) does not fit 64 bits", at: place)
            }
            return .integer(value)
        }
        if let number = TOMLNumber.decimal(word) { return .number(number) }
        throw failure("\(shown(text(from: start))) is not a value; a string needs quotes", at: place)
    }
}

/// TOML's numbers.
enum TOMLNumber {
    /// Nil when it is not written as an integer; its value is nil when it does not fit 64 bits.
    static func integer(_ word: [UInt8]) -> (value: Int?, Void)? {
        if word.count > 2, word[0] == UInt8(ascii: "0"), let radix = radix(word[1]) {
            guard let digits = digits(word[2...], radix: radix) else { return nil }
            return (Int(digits, radix: radix), ())
        }
        guard let (isNegative, rest) = signed(word), let digits = digits(rest, radix: 10),
            digits.utf8.count == 1 || digits.utf8.first != UInt8(ascii: "0")
        else { return nil }
        return (Int((isNegative ? "-" : "") + digits), ())
    }

    /// Nil when it is not written as a decimal number.
    static func decimal(_ word: [UInt8]) -> Double? {
        guard let (isNegative, rest) = signed(word) else { return nil }
        if rest.elementsEqual("inf".utf8) { return isNegative ? -.infinity : .infinity }
        if rest.elementsEqual("nan".utf8) { return .nan }
        var mantissa = rest
        var exponent = ""
        if let mark = rest.firstIndex(where: { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }) {
            mantissa = rest[..<mark]
            guard let (isNegative, power) = signed(rest[(mark + 1)...]), let digits = digits(power, radix: 10) else {
                return nil
            }
            exponent = (isNegative ? "e-" : "e") + digits
        }
        var fraction = ""
        var whole = mantissa
        if let point = mantissa.firstIndex(of: UInt8(ascii: ".")) {
            whole = mantissa[..<point]
            guard let digits = digits(mantissa[(point + 1)...], radix: 10) else { return nil }
            fraction = "." + digits
        }
        guard let digits = digits(whole, radix: 10), digits.utf8.count == 1 || digits.utf8.first != UInt8(ascii: "0"),
            !fraction.isEmpty || !exponent.isEmpty
        else { return nil }
        return Double((isNegative ? "-" : "") + digits + fraction + exponent)
    }

    private static func radix(_ letter: UInt8) -> Int? {
        switch letter {
        case UInt8(ascii: "x"): 16
        case UInt8(ascii: "o"): 8
        case UInt8(ascii: "b"): 2
        default: nil
        }
    }

    private static func signed(_ word: some Collection<UInt8>) -> (isNegative: Bool, rest: ArraySlice<UInt8>)? {
        guard let first = word.first else { return nil }
        let hasSign = first == UInt8(ascii: "+") || first == UInt8(ascii: "-")
        return (first == UInt8(ascii: "-"), Array(word)[(hasSign ? 1 : 0)...])
    }

    /// The digits without underscores; each underscore must stand between two digits.
    private static func digits(_ word: ArraySlice<UInt8>, radix: Int) -> String? {
        var out = ""
        var mayBreak = false
        for byte in word {
            if byte == UInt8(ascii: "_") {
                guard mayBreak else { return nil }
                mayBreak = false
            } else {
                let character = Character(Unicode.Scalar(byte))
                guard let digit = character.hexDigitValue, digit < radix else { return nil }
                out.append(character)
                mayBreak = true
            }
        }
        return mayBreak ? out : nil
    }
}

/// TOML's dates and times (RFC 3339), checked but not kept.
enum TOMLDate {
    static func isDateOrTime(_ word: [UInt8]) -> Bool {
        if isTime(word[...]) || isDate(word) { return true }
        guard word.count > 11, isDate(Array(word[..<10])), "Tt ".utf8.contains(word[10]) else { return false }
        let rest = word[11...]
        if let last = rest.last, last == UInt8(ascii: "Z") || last == UInt8(ascii: "z") {
            return isTime(rest.dropLast())
        }
        if rest.count > 6, let sign = rest.dropLast(5).last, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            return isTime(rest.dropLast(6)) && isHourAndMinute(rest.suffix(5))
        }
        return isTime(rest)
    }

    /// `1979-05-27`
    static func isDate(_ word: [UInt8]) -> Bool {
        guard word.count == 10, word[4] == UInt8(ascii: "-"), word[7] == UInt8(ascii: "-"),
            let year = number(word[0..<4]), let month = number(word[5..<7]), let day = number(word[8..<10]),
            (1...12).contains(month)
        else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return (1...days[month - 1]).contains(day)
    }

    /// `07:32:00` or `07:32:00.999`
    private static func isTime(_ word: ArraySlice<UInt8>) -> Bool {
        let word = Array(word)
        guard word.count >= 8, isHourAndMinute(word[..<5]), word[5] == UInt8(ascii: ":"),
            let second = number(word[6..<8]), second <= 59
        else { return false }
        if word.count == 8 { return true }
        return word[8] == UInt8(ascii: ".") && word.count > 9 && word[9...].allSatisfy { (48...57).contains($0) }
    }

    private static func isHourAndMinute(_ word: ArraySlice<UInt8>) -> Bool {
        let word = Array(word)
        guard word.count == 5, word[2] == UInt8(ascii: ":"), let hour = number(word[..<2]),
            let minute = number(word[3...])
        else { return false }
        return hour <= 23 && minute <= 59
    }

    /// At most four digits.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1) - 48 }
    }
}
