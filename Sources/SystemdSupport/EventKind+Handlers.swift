// SPDX-License-Identifier: Apache-2.0
// Owns the descriptions of user events and of the commands that run on events: what each means and what to do.

internal import Logging

extension EventKind {
    static let userEventDescription = Description(
        messageID: "97a20da679e6494fb04d5634bd487493", level: .info,
        subject: "Event @GOSSIPD_NAME@ of @GOSSIPD_MEMBER@",
        meaning: """
            Somebody on @GOSSIPD_MEMBER@ has sent it to all members, with @GOSSIPD_BYTES@ bytes of payload. The
            payload is in "gossipctl events" and, with log.level = "debug", in the log.
            """,
        action: "Nothing.")

    static let handlerFailedDescription = Description(
        messageID: "ea3fb4404b414e44a36b210f29b08572", level: .error,
        subject: "The handler @GOSSIPD_HANDLER@ failed",
        meaning: """
            Its command ended with another status than 0, or could not be started: @GOSSIPD_REASON@
            The events of this run are not given to it again; it runs on the next ones.
            """,
        action: """
            See the last lines of its output in this entry (GOSSIPD_OUTPUT). The command runs as the daemon's
            user in the daemon's sandbox; gossipd-handlers.d(5) says what that keeps from it.
            """)

    static let handlerTimedOutDescription = Description(
        messageID: "52a0d39a55dd4e58b7f3b028e8b208b0", level: .error,
        subject: "The handler @GOSSIPD_HANDLER@ took too long and was ended",
        meaning: """
            It had SIGTERM after its timeout and SIGKILL a second later, with all that it had started:
            @GOSSIPD_REASON@
            """,
        action: """
            See what it waits for. Raise timeout in its description if it may take that long, then
            systemctl reload gossipd.
            """)

    static let handlerOverflowDescription = Description(
        messageID: "1b7b191ea29c40dda44b80e04c283e33", level: .warning,
        subject: "Events for the handler @GOSSIPD_HANDLER@ were dropped",
        meaning: """
            More events came than its queue holds while it was busy; @GOSSIPD_COUNT@ of the oldest are gone
            for it. gossipctl events has them for a while.
            """,
        action: """
            Make the command faster, choose fewer events, or raise queue, concurrency or batch_window in its
            description.
            """)

    static let handlerRecoveredDescription = Description(
        messageID: "8e33b4fad22e4e6f9ca0895db092531f", level: .notice,
        subject: "The handler @GOSSIPD_HANDLER@ works again",
        meaning: "Its command ended with status 0 for the first time since it failed.",
        action: "Nothing.")

    static let handlerInvalidDescription = Description(
        messageID: "f25301ac7c404c6f85871f974e832efc", level: .error,
        subject: "A description of a handler is not valid",
        meaning: "@GOSSIPD_REASON@ This handler does not run; the others do.",
        action: "Correct what is named, check it with \"gossipd check-config FILE\", then systemctl reload gossipd.")
}
