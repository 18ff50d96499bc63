// SPDX-License-Identifier: Apache-2.0
// Owns a disk whose fsync fails from a moment on that the test chooses.

import Glibc

/// A library, loaded before the others, whose fsync and fdatasync fail with EIO once a file is there.
struct BrokenSync: Sendable {
    private let library: String
    private let flag: String

    static let compiler = ["cc", "clang", "gcc"].first { Programs.exist($0) }

    private static let source = """
        #include <errno.h>
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        static int broken(void) {
            const char *flag = getenv("GOSSIPD_TEST_BROKEN_SYNC");
            if (flag == NULL || access(flag, F_OK) != 0) return 0;
            errno = EIO;
            return 1;
        }
        int fsync(int descriptor) { return broken() ? -1 : (int)syscall(SYS_fsync, descriptor); }
        int fdatasync(int descriptor) { return broken() ? -1 : (int)syscall(SYS_fdatasync, descriptor); }

        """

    init(in arena: Arena) async throws {
        library = arena.folder + "/broken-sync.so"
        flag = arena.folder + "/broken"
        let source = arena.folder + "/broken-sync.c"
        try FileText.write(Self.source, to: source)
        let outcome = try await arena.run(
            Self.compiler ?? "cc", ["-shared", "-fPIC", "-o", library, source], within: .seconds(60))
        guard outcome.status == 0 else { throw Trouble("cannot compile: \(outcome.errors)") }
    }

    var environment: [String: String] { ["LD_PRELOAD": library, "GOSSIPD_TEST_BROKEN_SYNC": flag] }

    /// From now on every fsync fails.
    func breakDown() throws { try FileText.write("", to: flag) }
}
