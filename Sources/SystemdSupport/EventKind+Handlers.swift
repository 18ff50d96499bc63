// SPDX-License-Identifier: Apache-2.0
// Owns the description of user events: what one means and what to do.

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
}
