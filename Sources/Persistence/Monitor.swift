// SPDX-License-Identifier: Apache-2.0
// Owns a lock with a condition, and the thread that waits on it: the standard library has neither.

import Glibc
import Synchronization

/// A value under a mutex on whose changes a thread can wait.
///
/// `@unchecked Sendable`: `value` is only touched between `pthread_mutex_lock` and `_unlock`; the two pthread
/// objects live at a fixed address from `init` to `deinit`.
package final class Monitor<Value>: @unchecked Sendable {
    private var value: Value
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    package init(_ value: sending Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        Self.check(pthread_mutex_init(mutex, nil))
        var attributes = pthread_condattr_t()
        Self.check(pthread_condattr_init(&attributes))
        // Waits end by the clock that nobody sets.
        Self.check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC))
        Self.check(pthread_cond_init(condition, &attributes))
        Self.check(pthread_condattr_destroy(&attributes))
    }

    deinit {
        Self.check(pthread_cond_destroy(condition))
        Self.check(pthread_mutex_destroy(mutex))
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the value and wakes the waiting thread.
    package func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        Self.check(pthread_mutex_lock(mutex))
        defer {
            // In this order, or the woken thread's first act is to wait for the mutex.
            Self.check(pthread_mutex_unlock(mutex))
            Self.check(pthread_cond_signal(condition))
        }
        return try body(&value)
    }

    /// Changes the value and wakes the waiting thread only when the body says so: for changes that are many.
    func withQuietLock(_ body: (inout Value) -> Bool) {
        Self.check(pthread_mutex_lock(mutex))
        let wakes = body(&value)
        Self.check(pthread_mutex_unlock(mutex))
        if wakes { Self.check(pthread_cond_signal(condition)) }
    }

    /// Changes the value and wakes nobody.
    func withQuietLockResult<Result>(_ body: (inout Value) -> Result) -> Result {
        Self.check(pthread_mutex_lock(mutex))
        defer { Self.check(pthread_mutex_unlock(mutex)) }
        return body(&value)
    }

    /// Waits until `take` answers; it is asked again after each change. One thread may wait.
    func wait<Result>(_ take: (inout Value) -> Result?) -> Result {
        Self.check(pthread_mutex_lock(mutex))
        defer { Self.check(pthread_mutex_unlock(mutex)) }
        while true {
            if let result = take(&value) { return result }
            Self.check(pthread_cond_wait(condition, mutex))
        }
    }

    /// As `wait`, but for at most `milliseconds`: nil then.
    package func wait<Result>(milliseconds: Int, _ take: (inout Value) -> Result?) -> Result? {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        deadline.tv_sec += milliseconds / 1_000
        deadline.tv_nsec += milliseconds % 1_000 * 1_000_000
        if deadline.tv_nsec >= 1_000_000_000 {
            deadline.tv_sec += 1
            deadline.tv_nsec -= 1_000_000_000
        }
        Self.check(pthread_mutex_lock(mutex))
        defer { Self.check(pthread_mutex_unlock(mutex)) }
        while true {
            if let result = take(&value) { return result }
            let code = pthread_cond_timedwait(condition, mutex, &deadline)
            if code == ETIMEDOUT { return take(&value) }
            Self.check(code)
        }
    }

    private static func check(_ code: CInt) {
        precondition(code == 0, "a pthread call on a monitor failed with \(code)")
    }
}

/// A named POSIX thread that runs one closure.
final class StorageThread: Sendable {
    private let handle: Mutex<pthread_t?>

    /// `name` is cut to the 15 bytes that Linux keeps. The closure is released when it returns.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(PersistenceFailure) {
        let box = Unmanaged.passRetained(Box(name: String(name.prefix(15)), body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                box.nameThisThread()
                box.body()
                return nil
            }, box.toOpaque())
        if code != 0 {
            box.release()
            throw .system(operation: "pthread_create", path: name, errno: code)
        }
        handle = Mutex(thread)
    }

    deinit {
        // Whoever did not join does not want to wait; the thread frees itself at its end.
        handle.withLock { thread in
            if let thread { pthread_detach(thread) }
            thread = nil
        }
    }

    /// Waits for the thread's end; a second call returns at once.
    func join() {
        let thread = handle.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let thread { pthread_join(thread, nil) }
    }

    private final class Box: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }

        /// For `top -H`; the Glibc module has no `pthread_setname_np`. A thread without a name works as well.
        func nameThisThread() {
            let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
            if file < 0 { return }
            _ = write(file, name, name.utf8.count)
            _ = close(file)
        }
    }
}
