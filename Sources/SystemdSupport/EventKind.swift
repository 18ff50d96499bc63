// SPDX-License-Identifier: Apache-2.0
// Owns the kinds of events in the log: name, fixed MESSAGE_ID, level, and what the journal's catalog says.

package import Logging

/// A kind of event that operators and programs look for: `GOSSIPD_EVENT` in the journal, `event` in JSON.
///
/// Names and ids never change and are never used again for something else: people filter by them.
package enum EventKind: String, CaseIterable, Sendable {
    // Members.
    case memberJoined = "member_joined"
    case memberAlive = "member_alive"
    case memberSuspected = "member_suspected"
    case memberFailed = "member_failed"
    case memberLeft = "member_left"
    case memberForgotten = "member_forgotten"
    case memberReaped = "member_reaped"
    case memberUDPBlocked = "member_udp_blocked"
    case memberUDPRestored = "member_udp_restored"
    case memberUpdated = "member_updated"
    case memberNameConflict = "member_name_conflict"
    case memberForged = "member_forged"
    case memberEquivocated = "member_equivocated"
    case selfRefuted = "self_refuted"
    case awarenessChanged = "awareness_changed"
    case identityInUse = "identity_in_use"
    case evicted
    // Joining and the store.
    case joinSucceeded = "join_succeeded"
    case joinFailed = "join_failed"
    case syncCompleted = "sync_completed"
    case typeConflict = "type_conflict"
    case quarantine
    case storeReset = "store_reset"
    case collected
    case clockOutlier = "clock_outlier"
    case clockRecovered = "clock_recovered"
    case storageFull = "storage_full"
    case storageRecovered = "storage_recovered"
    case storageSlow = "storage_slow"
    case catchUp = "catch_up"
    case storeSetAside = "store_set_aside"
    case packetRejected = "packet_rejected"
    case keysChanged = "keys_changed"
    case accessDenied = "access_denied"
    // Strict keys.
    case strictFounded = "strict_founded"
    case strictElection = "strict_election"
    case strictLeaderChanged = "strict_leader_changed"
    case strictLeaderLost = "strict_leader_lost"
    case strictSteppedDown = "strict_stepped_down"
    case strictMembersChanged = "strict_members_changed"
    case strictTransfer = "strict_transfer"
    case strictSnapshot = "strict_snapshot"
    case strictRefetched = "strict_refetched"
    case strictRefused = "strict_refused"
    case strictForeignGroup = "strict_foreign_group"
    case strictUnknownFormat = "strict_unknown_format"
    case strictRecovered = "strict_recovered"
    case strictRemoved = "strict_removed"
    case strictCopiesCorrected = "strict_copies_corrected"
    case strictLockChanged = "strict_lock_changed"
    // Users' own events, and the commands that run on events.
    case userEvent = "user_event"
    case handlerFailed = "handler_failed"
    case handlerTimedOut = "handler_timed_out"
    case handlerOverflow = "handler_overflow"
    case handlerRecovered = "handler_recovered"
    case handlerInvalid = "handler_invalid"
    // Delivery.
    case renderApplied = "render_applied"
    case renderFailed = "render_failed"
    case renderRefused = "render_refused"
    case renderRolledBack = "render_rolled_back"
    case renderRecovered = "render_recovered"
    case renderReloaded = "render_reloaded"
    // The helper of delivery, gossipd-apply: its own log, beside what the daemon says of the same.
    case helperApplied = "helper_applied"
    case helperIncomplete = "helper_incomplete"
    case helperRefused = "helper_refused"
    case helperFailed = "helper_failed"
    case helperRolledBack = "helper_rolled_back"
    case helperReloaded = "helper_reloaded"
    case helperReloadFailed = "helper_reload_failed"
    case helperTurnedAway = "helper_turned_away"
    case helperDescriptionInvalid = "helper_description_invalid"
    case helperEnded = "helper_ended"
    // The daemon.
    case started
    case leaving
    case stopping
    case stopped
    case reloaded
    case reloadFailed = "reload_failed"
    case restartRequired = "restart_required"
    case configurationInvalid = "configuration_invalid"
    case startFailed = "start_failed"
    case storageFailed = "storage_failed"
    case loopStalled = "loop_stalled"
    case logEntriesLost = "log_entries_lost"

    /// The metadata key under which the log carries the kind.
    package static let metadataKey = "event"

    /// What is fixed about one kind.
    struct Description {
        var messageID: String
        var level: Logger.Level
        var subject: String
        /// What it means, in lines of the catalog. `@FIELD@` is replaced by journalctl.
        var meaning: String
        /// What to do.
        var action: String
    }

    /// 128 random bits as 32 hexadecimal digits (sd-id128(3)).
    package var messageID: String { description.messageID }
    package var level: Logger.Level { description.level }
    /// One line; `@FIELD@` stands for a field of the entry.
    package var subject: String { description.subject }
    /// What has happened, in a sentence or two.
    package var meaning: String { description.meaning }
    /// What the operator should do.
    package var action: String { description.action }

    private var description: Description {
        switch self {
        case .memberJoined: Self.memberJoinedDescription
        case .memberAlive: Self.memberAliveDescription
        case .memberSuspected: Self.memberSuspectedDescription
        case .memberFailed: Self.memberFailedDescription
        case .memberLeft: Self.memberLeftDescription
        case .memberForgotten: Self.memberForgottenDescription
        case .memberReaped: Self.memberReapedDescription
        case .memberUDPBlocked: Self.memberUDPBlockedDescription
        case .memberUDPRestored: Self.memberUDPRestoredDescription
        case .memberUpdated: Self.memberUpdatedDescription
        case .memberNameConflict: Self.memberNameConflictDescription
        case .memberForged: Self.memberForgedDescription
        case .memberEquivocated: Self.memberEquivocatedDescription
        case .selfRefuted: Self.selfRefutedDescription
        case .awarenessChanged: Self.awarenessChangedDescription
        case .identityInUse: Self.identityInUseDescription
        case .evicted: Self.evictedDescription
        case .joinSucceeded: Self.joinSucceededDescription
        case .joinFailed: Self.joinFailedDescription
        case .syncCompleted: Self.syncCompletedDescription
        case .typeConflict: Self.typeConflictDescription
        case .quarantine: Self.quarantineDescription
        case .storeReset: Self.storeResetDescription
        case .collected: Self.collectedDescription
        case .clockOutlier: Self.clockOutlierDescription
        case .clockRecovered: Self.clockRecoveredDescription
        case .storageFull: Self.storageFullDescription
        case .storageRecovered: Self.storageRecoveredDescription
        case .storageSlow: Self.storageSlowDescription
        case .catchUp: Self.catchUpDescription
        case .storeSetAside: Self.storeSetAsideDescription
        case .packetRejected: Self.packetRejectedDescription
        case .keysChanged: Self.keysChangedDescription
        case .accessDenied: Self.accessDeniedDescription
        case .strictFounded: Self.strictFoundedDescription
        case .strictElection: Self.strictElectionDescription
        case .strictLeaderChanged: Self.strictLeaderChangedDescription
        case .strictLeaderLost: Self.strictLeaderLostDescription
        case .strictSteppedDown: Self.strictSteppedDownDescription
        case .strictMembersChanged: Self.strictMembersChangedDescription
        case .strictTransfer: Self.strictTransferDescription
        case .strictSnapshot: Self.strictSnapshotDescription
        case .strictRefetched: Self.strictRefetchedDescription
        case .strictRefused: Self.strictRefusedDescription
        case .strictForeignGroup: Self.strictForeignGroupDescription
        case .strictUnknownFormat: Self.strictUnknownFormatDescription
        case .strictRecovered: Self.strictRecoveredDescription
        case .strictRemoved: Self.strictRemovedDescription
        case .strictCopiesCorrected: Self.strictCopiesCorrectedDescription
        case .strictLockChanged: Self.strictLockChangedDescription
        case .userEvent: Self.userEventDescription
        case .handlerFailed: Self.handlerFailedDescription
        case .handlerTimedOut: Self.handlerTimedOutDescription
        case .handlerOverflow: Self.handlerOverflowDescription
        case .handlerRecovered: Self.handlerRecoveredDescription
        case .handlerInvalid: Self.handlerInvalidDescription
        case .renderApplied: Self.renderAppliedDescription
        case .renderFailed: Self.renderFailedDescription
        case .renderRefused: Self.renderRefusedDescription
        case .renderRolledBack: Self.renderRolledBackDescription
        case .renderRecovered: Self.renderRecoveredDescription
        case .renderReloaded: Self.renderReloadedDescription
        case .helperApplied: Self.helperAppliedDescription
        case .helperIncomplete: Self.helperIncompleteDescription
        case .helperRefused: Self.helperRefusedDescription
        case .helperFailed: Self.helperFailedDescription
        case .helperRolledBack: Self.helperRolledBackDescription
        case .helperReloaded: Self.helperReloadedDescription
        case .helperReloadFailed: Self.helperReloadFailedDescription
        case .helperTurnedAway: Self.helperTurnedAwayDescription
        case .helperDescriptionInvalid: Self.helperDescriptionInvalidDescription
        case .helperEnded: Self.helperEndedDescription
        case .started: Self.startedDescription
        case .leaving: Self.leavingDescription
        case .stopping: Self.stoppingDescription
        case .stopped: Self.stoppedDescription
        case .reloaded: Self.reloadedDescription
        case .reloadFailed: Self.reloadFailedDescription
        case .restartRequired: Self.restartRequiredDescription
        case .configurationInvalid: Self.configurationInvalidDescription
        case .startFailed: Self.startFailedDescription
        case .storageFailed: Self.storageFailedDescription
        case .loopStalled: Self.loopStalledDescription
        case .logEntriesLost: Self.logEntriesLostDescription
        }
    }
}
