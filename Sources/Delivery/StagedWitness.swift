// SPDX-License-Identifier: Apache-2.0
// Owns the proof that a check left the new file as it was: the same file, with the same bytes and rights.

import Glibc

/// A staged file before its check, held open so that no other file can get its number meanwhile.
final class StagedWitness {
    private let staged: StagedFile
    private let descriptor: CInt
    private let before: stat

    /// - Throws: `.file` when the file cannot be opened.
    init(_ staged: StagedFile) throws(DeliveryFailure) {
        self.staged = staged
        descriptor = staged.folder.open(staged.temporary, O_RDONLY | O_NONBLOCK)
        var status = stat()
        let isOpen = descriptor >= 0 && fstat(descriptor, &status) == 0
        before = status
        if !isOpen {
            throw DestinationFolder.failure("examine", staged.folder.path(of: staged.temporary), errno)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether the name still leads to that file, and it still has `content` and its rights.
    func isUnchanged(_ content: [UInt8]) -> Bool {
        var (named, open) = (stat(), stat())
        guard staged.folder.status(staged.temporary, &named) == 0, fstat(descriptor, &open) == 0 else { return false }
        for status in [named, open] {
            guard status.st_dev == before.st_dev, status.st_ino == before.st_ino, status.st_mode == before.st_mode,
                status.st_uid == before.st_uid, status.st_gid == before.st_gid, status.st_size == content.count
            else { return false }
        }
        return hasBytes(content)
    }

    private func hasBytes(_ content: [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var offset = 0
        while offset < content.count {
            let count = pread(descriptor, &chunk, chunk.count, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0, offset + count <= content.count else { return false }
            guard chunk[..<count] == content[offset..<offset + count] else { return false }
            offset += count
        }
        return true
    }
}
