//! What the end of a connection calls for. Pure.

use std::time::Duration;

use livekit_protocol::{DisconnectReason, LeaveRequest, leave_request};
use livekit_signaling::SignalError;

/// How long resuming is tried while the server cannot be reached: about as long as it keeps a
/// participant whose signalling is gone. Media may flow on all that time.
const RESUMING: Duration = Duration::from_secs(15);

/// What to do about a lost connection. The reason is for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take the session up again: the server still knows us.
    Resume(String),
    /// Join as if for the first time.
    Rejoin(String),
    /// Nothing that we do can help.
    GiveUp(String),
}

/// The server told us to leave.
pub(super) fn told_to_leave(leave: &LeaveRequest) -> Verdict {
    let reason = leave.reason();
    let text = format!("the server ended the connection: {}", reason.as_str_name());
    match leave.action() {
        leave_request::Action::Resume => Verdict::Resume(text),
        leave_request::Action::Reconnect => Verdict::Rejoin(text),
        leave_request::Action::Disconnect => match reason {
            DisconnectReason::DuplicateIdentity => {
                Verdict::GiveUp("another server took the room over".into())
            }
            DisconnectReason::ParticipantRemoved => {
                Verdict::GiveUp("removed from the room by an administrator".into())
            }
            DisconnectReason::RoomDeleted => Verdict::GiveUp("the room was deleted".into()),
            _ => Verdict::Rejoin(text),
        },
    }
}

/// Joining failed.
pub(super) fn join_failed(error: &SignalError) -> Verdict {
    use SignalError::{Client, Handshake, TokenFormat, TransportNotConfigured, UrlParse};
    match error {
        Client(status, _) | Handshake { status } if matches!(status.as_u16(), 401 | 403) => {
            Verdict::GiveUp("the server does not accept the API key or secret".into())
        }
        UrlParse(_) | TokenFormat | TransportNotConfigured => Verdict::GiveUp(error.to_string()),
        _ => Verdict::Rejoin(error.to_string()),
    }
}

/// Resuming failed, this long after the connection was lost.
pub(super) fn resume_failed(error: &SignalError, lost_for: Duration) -> Verdict {
    use SignalError::{Client, Connection, Handshake, LeaveRequest, Timeout};
    match error {
        // A token that has run out meanwhile: joining makes a new one.
        LeaveRequest { .. } | Client(..) | Handshake { .. } => Verdict::Rejoin(error.to_string()),
        Connection(_) | Timeout(_) if lost_for < RESUMING => Verdict::Resume(error.to_string()),
        _ => Verdict::Rejoin(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(action: leave_request::Action, reason: DisconnectReason) -> LeaveRequest {
        LeaveRequest { action: action.into(), reason: reason.into(), ..Default::default() }
    }

    #[test]
    fn leaving_is_final_only_when_somebody_meant_it() {
        use DisconnectReason as Why;
        use leave_request::Action::{Disconnect, Reconnect, Resume};
        let cases = [
            (Resume, Why::UnknownReason, "resume"),
            (Reconnect, Why::StateMismatch, "rejoin"),
            (Disconnect, Why::ServerShutdown, "rejoin"),
            (Disconnect, Why::RoomClosed, "rejoin"),
            (Disconnect, Why::DuplicateIdentity, "give up"),
            (Disconnect, Why::ParticipantRemoved, "give up"),
            (Disconnect, Why::RoomDeleted, "give up"),
        ];
        for (action, reason, expected) in cases {
            let name = match told_to_leave(&leave(action, reason)) {
                Verdict::Resume(_) => "resume",
                Verdict::Rejoin(_) => "rejoin",
                Verdict::GiveUp(_) => "give up",
            };
            assert_eq!(name, expected, "{action:?} {reason:?}");
        }
    }

    #[test]
    fn resuming_is_tried_for_a_while() {
        let down = SignalError::Connection("refused".into());
        assert!(matches!(resume_failed(&down, Duration::ZERO), Verdict::Resume(_)));
        assert!(matches!(resume_failed(&down, RESUMING / 2), Verdict::Resume(_)));
        assert!(matches!(resume_failed(&down, RESUMING), Verdict::Rejoin(_)));
        assert!(matches!(join_failed(&down), Verdict::Rejoin(_)));
    }

    #[test]
    fn a_server_that_forgot_us_is_joined_anew() {
        let error = SignalError::LeaveRequest {
            reason: DisconnectReason::StateMismatch,
            action: leave_request::Action::Reconnect,
        };
        assert!(matches!(resume_failed(&error, Duration::ZERO), Verdict::Rejoin(_)));
    }
}
