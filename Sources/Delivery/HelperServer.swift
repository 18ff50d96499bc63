// SPDX-License-Identifier: Apache-2.0
// Owns the helper's side of its socket: whom it answers, each on a thread of its own, and when it ends.

internal import CProcess
import Glibc

/// What the helper has done, for its log.
package enum HelperNotice: Hashable, Sendable {
    /// Without the present content.
    case file(ApplyAnswer.File)
    case reload(ApplyAnswer.Reload)
    /// A connection that was not answered, and why.
    case turnedAway(String)
}

/// A descriptor that becomes readable with SIGTERM or SIGINT, which do nothing else any more.
package enum StopSignal {
    /// Call it before there is a second thread: threads take over what is blocked.
    package static func block() throws(DeliveryFailure) -> CInt {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let descriptor = signalfd(-1, &signals, CInt(gossipd_signalfd_close_on_exec))
        guard descriptor >= 0 else { throw .helper("no descriptor for signals: \(SystemText.of(errno))") }
        return descriptor
    }
}

/// Answers requests on a listening socket. It blocks. Requests go at the same time, so that a slow check of one file holds
/// up neither other files nor a look at them; the applier lets those wait that concern the same.
package struct HelperServer: Sendable {
    /// A request has to be whole after this, and its answer taken.
    static let exchangeMax: Duration = .seconds(30)

    private let listener: CInt
    private let applier: Applier
    private let idleExit: Duration
    private let stop: CInt
    private let notify: @Sendable (HelperNotice) -> Void

    /// - Parameters:
    ///   - listener: a listening Unix stream socket; it stays open.
    ///   - idleExit: `run` returns when nobody connected for so long.
    ///   - stop: `run` returns when this is readable, after the requests under way; -1 for never.
    ///   - notify: called from any thread.
    package init(
        listener: CInt, applier: Applier, idleExit: Duration, stop: CInt,
        notify: @escaping @Sendable (HelperNotice) -> Void
    ) {
        self.listener = listener
        self.applier = applier
        self.idleExit = idleExit
        self.stop = stop
        self.notify = notify
    }

    /// Makes good what an interrupted run has left, and answers until it is idle or told to stop.
    package func run() throws(DeliveryFailure) {
        let workers = try HelperWorkers()
        defer { workers.waitForAll() }
        for leftover in applier.prepare() {
            workers.start { tell(applier.makeGood(leftover)) }
        }
        let lobby = HelperLobby()
        while true {
            let left = max(workers.idleSince, lobby.newestSince ?? workers.idleSince) + idleExit - .now
            if left <= .zero { return }
            // Who comes while all threads are busy waits in the socket's queue.
            let isFull = workers.isFull
            var waits = [
                pollfd(fd: isFull ? -1 : listener, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
                pollfd(fd: workers.bell, events: Int16(POLLIN), revents: 0),
            ]
            if !isFull { waits += lobby.waits }
            let patience = min(left, lobby.oldestSince.map { $0 + Self.exchangeMax - .now } ?? left, .seconds(60))
            let count = poll(&waits, nfds_t(waits.count), CInt(max(patience, .zero).milliseconds))
            if count < 0, errno != EINTR { throw .helper("waiting for connections failed: \(SystemText.of(errno))") }
            for _ in 0..<lobby.removeSilent(since: .now - Self.exchangeMax) { notify(.turnedAway(Self.late)) }
            guard count > 0 else { continue }
            if waits[1].revents != 0 { return }
            if waits[2].revents != 0 { workers.quiet() }
            for connection in lobby.take(waits.dropFirst(3).filter { $0.revents != 0 }.map(\.fd)) {
                // Its request is here, or it has closed: neither keeps a thread for long.
                workers.start {
                    serve(connection)
                    close(connection)
                }
            }
            guard waits[0].revents != 0 else { continue }
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else {
                if [EINTR, EAGAIN, ECONNABORTED].contains(errno) { continue }
                throw .helper("accepting a connection failed: \(SystemText.of(errno))")
            }
            // Programs that are run get no other descriptor than 0, 1 and 2 in any case.
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            if lobby.add(connection) { notify(.turnedAway("too many connections say nothing: the oldest was closed")) }
        }
    }

    private static let late = "a request was not whole after \(SystemText.of(exchangeMax))"

    private func serve(_ connection: CInt) {
        guard let user = UnixSocket.peerUser(connection) else {
            notify(.turnedAway("the kernel does not say who connected"))
            return
        }
        // Whoever runs this process could do all of it anyway.
        guard user == 0 || user == geteuid() || user == UnixSocket.owner(listener) else {
            let sentence = "the user with number \(user) may not ask: only root and the owner of the socket may"
            notify(.turnedAway(sentence))
            reply(HelperReply(error: sentence), connection)
            return
        }
        let request: ApplyRequest
        do throws(HelperFrame.Failure) {
            let bytes = try HelperFrame.read(connection, until: ContinuousClock.now + Self.exchangeMax, stop: stop)
            request = try HelperFrame.decode(ApplyRequest.self, bytes)
        } catch {
            switch error {
            // Nobody asked anything; a client that is stopped by us connects again.
            case .closed, .stopped: return
            case .late: notify(.turnedAway(Self.late))
            case .malformed:
                notify(.turnedAway("what came is no request of this version"))
                reply(HelperReply(error: "what came is no request of this version: restart gossipd"), connection)
            case .system(let code): notify(.turnedAway("reading a request failed: \(SystemText.of(code))"))
            }
            return
        }
        let answer = applier.perform(request)
        if request.operation == .apply { tell(answer) }
        reply(HelperReply(answer: answer), connection)
    }

    private func tell(_ answer: ApplyAnswer) {
        for file in answer.files where file.outcome != .unchanged || file.reason != nil { notify(.file(file)) }
        for reload in answer.reloads { notify(.reload(reload)) }
    }

    private func reply(_ reply: HelperReply, _ connection: CInt) {
        do throws(DeliveryFailure) {
            let frame = try HelperFrame.encode(reply)
            do throws(HelperFrame.Failure) {
                try HelperFrame.write(frame, connection, until: ContinuousClock.now + Self.exchangeMax)
            } catch {
                notify(.turnedAway("the answer was not taken: \(error)"))
            }
        } catch { notify(.turnedAway(error.sentence)) }
    }
}
