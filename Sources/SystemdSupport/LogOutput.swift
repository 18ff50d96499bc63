// SPDX-License-Identifier: Apache-2.0
// Owns the way of finished log records out of the process, on a thread of its own behind a bounded queue.

internal import CSystemd
import Glibc

/// One encoded entry: a line for a descriptor, or the `FIELD=value` assignments for the journal.
package struct LogRecord: Equatable, Sendable {
    package var fields: [[UInt8]]

    package init(fields: [[UInt8]]) { self.fields = fields }

    package init(line: [UInt8]) { fields = [line] }

    var size: Int { fields.reduce(0) { $0 + $1.count } }
}

/// Writes records in order without ever making the caller wait.
///
/// A reader that has stopped (a full pipe, a stuck journald) blocks only the thread in here. Records that do not fit
/// the queue meanwhile are lost and counted, and one record says how many once writing goes on. SIGPIPE is blocked
/// in the thread, so a reader that has gone away costs records, not the process.
package final class LogOutput: Sendable {
    package enum Destination: Equatable, Sendable {
        case descriptor(Int32)
        case journal
    }

    /// Bounds of the queue.
    package static let recordsMax = 4_096
    package static let bytesMax = 1 << 20

    private let queue: LogQueue

    /// - Parameter describeLoss: the record that tells how many were lost.
    package init(
        _ destination: Destination, recordsMax: Int = recordsMax,
        describeLoss: @escaping @Sendable (UInt64) -> LogRecord
    ) {
        queue = LogQueue(destination, recordsMax: recordsMax, describeLoss: describeLoss)
        queue.start()
    }

    deinit { queue.close() }

    package func write(_ record: LogRecord) { queue.append(record) }

    /// Waits until everything so far is written, at most `milliseconds`. False when the time was not enough.
    @discardableResult
    package func flush(milliseconds: Int) -> Bool { queue.flush(milliseconds: milliseconds) }

    /// Records lost since the start.
    package var lost: UInt64 { queue.lostTotal }
}

/// The queue and its thread.
///
/// `@unchecked Sendable`: every mutable property is read and written only between `lock()` and `unlock()`; the
/// mutex and the conditions live at fixed addresses from `init` to `deinit`.
private final class LogQueue: @unchecked Sendable {
    private let destination: LogOutput.Destination
    private let recordsMax: Int
    private let describeLoss: @Sendable (UInt64) -> LogRecord

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let hasWork = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let isIdle = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    private var records: [LogRecord] = []
    private var bytes = 0
    private var isWriting = false
    private var isClosed = false
    private var hasThread = false
    private var lost: UInt64 = 0
    private var lostUnreported: UInt64 = 0

    init(
        _ destination: LogOutput.Destination, recordsMax: Int, describeLoss: @escaping @Sendable (UInt64) -> LogRecord
    ) {
        self.destination = destination
        self.recordsMax = recordsMax
        self.describeLoss = describeLoss
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(hasWork, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(isIdle, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(isIdle)
        pthread_cond_destroy(hasWork)
        pthread_mutex_destroy(mutex)
        isIdle.deallocate()
        hasWork.deallocate()
        mutex.deallocate()
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    var lostTotal: UInt64 { locked { lost } }

    // MARK: The caller's side

    func append(_ record: LogRecord) {
        locked {
            guard hasThread, records.count < recordsMax, bytes + record.size <= LogOutput.bytesMax else {
                lost += 1
                lostUnreported += 1
                return
            }
            records.append(record)
            bytes += record.size
            pthread_cond_signal(hasWork)
        }
    }

    func flush(milliseconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + milliseconds % 1_000 * 1_000_000
        deadline.tv_sec += milliseconds / 1_000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        return locked {
            while isWriting || !records.isEmpty {
                if pthread_cond_timedwait(isIdle, mutex, &deadline) != 0 { return false }
            }
            return true
        }
    }

    func close() {
        locked {
            isClosed = true
            pthread_cond_signal(hasWork)
        }
    }

    // MARK: The thread's side

    /// Starts the thread; it keeps the queue alive until `close` and the last record.
    func start() {
        // The thread inherits this mask: no signal handler runs there, and SIGPIPE becomes EPIPE.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 256 << 10)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LogQueue>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        if result != 0 { argument.release() }
        locked { hasThread = result == 0 }
    }

    private func run() {
        while let (batch, lostNow) = takeBatch() {
            var failures: UInt64 = 0
            if lostNow > 0 { failures += write(describeLoss(lostNow)) ? 0 : 1 }
            for record in batch where !write(record) { failures += 1 }
            locked {
                lost += failures
                isWriting = false
                pthread_cond_broadcast(isIdle)
            }
        }
    }

    /// Waits for records; nil when the queue is closed and empty.
    private func takeBatch() -> (records: [LogRecord], lost: UInt64)? {
        locked {
            while records.isEmpty {
                if isClosed { return nil }
                pthread_cond_wait(hasWork, mutex)
            }
            let batch = (records, lostUnreported)
            records = []
            bytes = 0
            lostUnreported = 0
            isWriting = true
            return batch
        }
    }

    private func write(_ record: LogRecord) -> Bool {
        switch destination {
        case .descriptor(let descriptor): record.fields.allSatisfy { Self.write($0, to: descriptor) }
        case .journal: Self.send(record.fields)
        }
    }

    /// Writes all of `line`, waiting as long as the reader needs; false when it cannot be written.
    private static func write(_ line: [UInt8], to descriptor: Int32) -> Bool {
        var offset = 0
        while offset < line.count {
            let count = line.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + offset }, $0.count - offset)
            }
            if count > 0 {
                offset += count
            } else if errno == EAGAIN {
                // Somebody else made this descriptor non-blocking: it is shared with whoever started us.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wait, 1, -1)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Hands the assignments to journald. It answers 0 as well when there is no journald: no proof of delivery.
    private static func send(_ fields: [[UInt8]]) -> Bool {
        let storage = UnsafeMutableRawBufferPointer.allocate(
            byteCount: fields.reduce(1) { $0 + $1.count }, alignment: 1)
        defer { storage.deallocate() }
        var vectors: [iovec] = []
        var offset = 0
        for field in fields {
            let slice = UnsafeMutableRawBufferPointer(rebasing: storage[offset..<offset + field.count])
            slice.copyBytes(from: field)
            vectors.append(iovec(iov_base: slice.baseAddress, iov_len: field.count))
            offset += field.count
        }
        return sd_journal_sendv(vectors, Int32(vectors.count)) >= 0
    }
}
