// SPDX-License-Identifier: Apache-2.0
// Owns the rules of the tree: each takes text and gives what breaks it, as `path:line: reason`.

enum Rules {
    /// The modules that are functions of their input: no I/O, no clock, no randomness of their own, no logger.
    static let cores: Set<String> = [
        "ClusterTypes", "SWIMCore", "StoreCore", "NetworkCoordinates", "RaftCore", "StrictCore",
        "StrictGroup", "NodeKernel", "Linearizability",
    ]
    /// Pure as cores are, but with a library of ciphers and what that needs.
    static let pure: Set<String> = cores.union(["Sealing"])
    /// What a module other than a core may import without an edge: parts of the toolchain and of the system.
    static let systemModules: Set<String> = ["Glibc", "Synchronization", "FoundationEssentials"]
    static let fileLinesMax = 400
    static let functionLinesMax = 70

    /// Every import is an edge of Package.swift; cores have no others, and nobody has full Foundation.
    static func imports(_ file: SourceFile, _ manifest: Manifest) -> [String] {
        guard let edges = manifest.edges[file.module] else {
            return ["\(file.path): Package.swift has no module \(file.module)"]
        }
        let allowed = edges.union(cores.contains(file.module) ? [] : systemModules)
        return SwiftText.imports(file.code).filter { !allowed.contains($0.module) }.map {
            "\(file.path):\($0.line): \(file.module) may not import \($0.module)"
        }
    }

    /// Edges that no file of the module uses; tests may depend on a program that they only run.
    static func unusedEdges(_ manifest: Manifest, _ files: [SourceFile]) -> [String] {
        var imported: [String: Set<String>] = [:]
        for file in files {
            for name in SwiftText.imports(file.code) { imported[file.module, default: []].insert(name.module) }
        }
        return manifest.edges.sorted { $0.key < $1.key }.flatMap { module, edges in
            edges.subtracting(imported[module] ?? []).sorted().map { "Package.swift: \(module) does not use \($0)" }
        }
    }

    /// Edges that the design rules out, whatever Package.swift says.
    static func edges(_ manifest: Manifest) -> [String] {
        let inner: [String: Set<String>] = [
            "ClusterTypes": [], "SWIMCore": ["ClusterTypes"], "StoreCore": ["ClusterTypes"],
            "NetworkCoordinates": ["ClusterTypes"], "RaftCore": ["ClusterTypes"],
            "StrictCore": ["ClusterTypes", "StoreCore", "RaftCore"], "Linearizability": [],
            "NodeKernel": [
                "ClusterTypes", "SWIMCore", "StoreCore", "NetworkCoordinates", "RaftCore", "StrictCore", "StrictGroup",
            ],
            "WireProtocol": [
                "ClusterTypes", "SWIMCore", "StoreCore", "NetworkCoordinates", "RaftCore", "StrictCore", "StrictGroup",
                "NodeKernel",
            ],
            "AdminModel": [], "BackupFormat": ["ClusterTypes", "StoreCore", "WireProtocol"],
            "Sealing": ["ClusterTypes", "Crypto"],
            "StrictGroup": ["ClusterTypes", "RaftCore", "StrictCore"],
            "Persistence": [
                "ClusterTypes", "StoreCore", "RaftCore", "StrictCore", "StrictGroup", "BackupFormat", "CSQLite",
            ],
        ]
        var broken: [String] = []
        for (module, allowed) in inner.sorted(by: { $0.key < $1.key }) {
            guard let edges = manifest.edges[module] else {
                broken.append("Package.swift: no module \(module)")
                continue
            }
            for extra in edges.subtracting(allowed).sorted() {
                broken.append("Package.swift: \(module) may not depend on \(extra)")
            }
        }
        for core in cores.union(["WireProtocol"]).sorted() {
            for outer in ["gossipctl", "AdminServer", "AdminClient", "AdminModel"]
            where manifest.edges[outer]?.contains(core) == true {
                broken.append("Package.swift: \(outer) may not depend on \(core)")
            }
        }
        return broken
    }

    private static var bannedEverywhere: [(pattern: Regex<Substring>, words: [String], reason: String)] {
        [
            (/\btry!/, ["try!"], "no try!: handle the error"),
            (/\bas!/, ["as!"], "no as!: handle the other type"),
            (/\bfatalError\s*\(/, ["fatalError"], "no fatalError: a precondition that holds the state"),
            (/\bimport\s+Foundation\b/, ["Foundation"], "no Foundation: FoundationEssentials"),
        ]
    }

    private static var bannedInCores: [(pattern: Regex<Substring>, words: [String], reason: String)] {
        [
            (/\bDate\s*\(/, ["Date"], "no clock in a core: take `now`"),
            (
                /\b(?:ContinuousClock|SuspendingClock|clock_gettime|gettimeofday)\b/,
                ["ContinuousClock", "SuspendingClock", "clock_gettime", "gettimeofday"],
                "no clock in a core: take `now`"
            ),
            (/(?:^|[\s(\[,:=<>+-])\.now\b/, [".now"], "no clock in a core: take `now`"),
            (/\bSystemRandomNumberGenerator\b/, ["SystemRandom"], "no randomness in a core: take a generator"),
            (
                /\.(?:shuffled?|randomElement)\(\s*\)/, [".shuffle", ".randomElement"],
                "no randomness in a core: give `using:`"
            ),
            (/\.random\(\s*\)/, [".random("], "no randomness in a core: give `using:`"),
            (/\.random\((?:[^()]|\([^()]*\))*\)/, [".random("], "no randomness in a core: give `using:`"),
            (/\bprint\s*\(/, ["print"], "no output in a core: give an action"),
            (/\b(?:Task|DispatchQueue)\b\s*[.{(]/, ["Task", "DispatchQueue"], "no concurrency in a core"),
        ]
    }

    /// Words that stand for work undone, or for what a core must not do.
    static func bannedWords(_ file: SourceFile) -> [String] {
        var broken: [String] = []
        let undone = ["FIX" + "ME", "TO" + "DO"].filter(file.mentions)
        if !undone.isEmpty {
            for (number, line) in file.lines where undone.contains(where: { line.contains($0) }) {
                broken.append("\(file.path):\(number): do it, or write an issue")
            }
        }
        let banned = (bannedEverywhere + (pure.contains(file.module) ? bannedInCores : [])).filter { rule in
            rule.words.contains(where: file.mentions)
        }
        guard !banned.isEmpty else { return broken }
        let code = file.code.split(separator: "\n", omittingEmptySubsequences: false)
        for (offset, line) in code.enumerated() {
            for (pattern, _, reason) in banned {
                // A word ends at a full stop here, which it does not in prose.
                guard let match = line.firstMatch(of: pattern.wordBoundaryKind(.simple)) else { continue }
                if match.output.hasPrefix(".random("), match.output.contains("using:") { continue }
                broken.append("\(file.path):\(offset + 1): \(reason)")
            }
        }
        return broken
    }

    /// Licence line, then one sentence on what the file owns.
    static func header(_ file: SourceFile) -> [String] {
        let lines = file.lines.prefix(2).map(\.text)
        guard lines.first == "// SPDX-License-Identifier: Apache-2.0" else {
            return ["\(file.path):1: the licence line is missing"]
        }
        guard lines.count > 1, lines[1].hasPrefix("// Owns "), lines[1].contains(/[.:,;]|\w$/) else {
            return ["\(file.path):2: a line `// Owns ...` is missing"]
        }
        return []
    }

    static func lengths(_ file: SourceFile) -> [String] {
        var broken: [String] = []
        let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
        if count > fileLinesMax { broken.append("\(file.path): \(count) lines, more than \(fileLinesMax)") }
        for function in SwiftText.functions(file.code) where function.count > functionLinesMax {
            broken.append("\(file.path):\(function.line): \(function.count) lines in one function")
        }
        return broken
    }

    /// Folders of the machine that the package lies on: they mean nothing elsewhere.
    static func machinePaths(_ file: SourceFile, root: String) -> [String] {
        var paths = [root + "/", "/ho" + "me/", "/Us" + "ers/", "/ro" + "ot/"]
        let parent = root.split(separator: "/").dropLast()
        let common: Set<Substring> = ["usr", "tmp", "opt", "var", "srv", "mnt"]
        if let first = parent.first, parent.count > 1 || !common.contains(first) {
            paths.append("/" + parent.joined(separator: "/") + "/")
            if !common.contains(first) { paths.append("/\(first)/") }
        }
        guard paths.contains(where: file.mentions) else { return [] }
        return file.lines.compactMap { number, line in
            paths.first { line.contains($0) }.map { "\(file.path):\(number): a path of one machine: \($0)" }
        }
    }

    /// Relative links of a Markdown file, those in code blocks apart, name files that are there.
    static func links(_ file: SourceFile, exists: (String) -> Bool) -> [String] {
        var broken: [String] = []
        var isBlock = false
        let folder = file.path.split(separator: "/").dropLast().map(String.init)
        for (number, line) in file.lines {
            if line.hasPrefix("```") { isBlock.toggle() }
            if isBlock { continue }
            for match in line.matches(of: /\]\(([^)\s]+)/) {
                let target = match.1.split(separator: "#", omittingEmptySubsequences: false)[0]
                guard !target.isEmpty, !target.contains("://"), !target.hasPrefix("mailto:") else { continue }
                var parts = target.hasPrefix("/") ? [] : folder
                for part in target.split(separator: "/") where part != "." {
                    if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
                }
                if !exists(parts.joined(separator: "/")) {
                    broken.append("\(file.path):\(number): nothing is at \(target)")
                }
            }
        }
        return broken
    }
}
