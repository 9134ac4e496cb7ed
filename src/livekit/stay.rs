//! Staying in a room: join, serve, and join again with back-off, until stopped, not wanted any
//! more, or told that there is no use in trying.

use livekit_protocol as proto;
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, STABLE};
use super::entrance::Entrance;
use super::room::Room;
use super::rtc::Role;
use super::verdict::Verdict;
use super::{Exit, Link};
use crate::media::clock;

/// Whoever stays in a room.
pub(super) trait Member: Send {
    /// Which way media flows.
    const ROLE: Role;

    /// The room, and what lets us in.
    fn entrance(&self) -> &Entrance;

    /// In the room: returns when that is over, with what to do about it, or with `None` when it
    /// was wanted.
    fn serve(
        &mut self,
        room: &mut Room,
        join: &proto::JoinResponse,
        stop: &CancellationToken,
    ) -> impl Future<Output = Option<Verdict>> + Send;

    /// Outside the room: keeps those who talk to us from waiting. Returns when nobody needs us
    /// any more. Cancelling it loses nothing.
    fn outside(&mut self) -> impl Future<Output = ()> + Send;

    /// The connection is gone for good.
    fn forget(&mut self);

    /// Tells whoever listens how the connection is.
    fn tell(&mut self, link: Link);
}

/// Joins and stays until `stop`, or until there is no use in trying.
pub(super) async fn stay<M: Member>(mut member: M, stop: CancellationToken) -> Exit {
    let mut backoff = Backoff::default();
    let entrance = member.entrance().clone();
    let name = entrance.room.as_str();
    loop {
        let start = clock::now();
        let verdict = tokio::select! {
            biased;
            () = stop.cancelled() => return Exit::Cancelled,
            () = member.outside() => return Exit::Cancelled,
            joined = entrance.join(M::ROLE) => match joined {
                Ok((mut room, join)) => {
                    let version = join.server_info.as_ref().map_or("", |info| &info.version);
                    tracing::info!(room = name, role = ?M::ROLE, version, "joined");
                    let verdict = member.serve(&mut room, &join, &stop).await;
                    room.leave().await;
                    match verdict {
                        Some(verdict) => verdict,
                        None => return Exit::Cancelled,
                    }
                }
                Err(verdict) => verdict,
            },
        };
        member.forget();
        let reason = match verdict {
            Verdict::GiveUp(reason) => {
                tracing::error!(room = name, role = ?M::ROLE, reason, "room given up");
                member.tell(Link::Failed(reason.clone()));
                return Exit::Failed(reason);
            }
            Verdict::Resume(reason) | Verdict::Rejoin(reason) => reason,
        };
        tracing::warn!(room = name, role = ?M::ROLE, reason, "joining again");
        member.tell(Link::Reconnecting(reason));
        if start.elapsed() > STABLE {
            backoff = Backoff::default();
        }
        let wait = tokio::time::sleep(backoff.next(fastrand::f64()));
        tokio::select! {
            biased;
            () = stop.cancelled() => return Exit::Cancelled,
            () = member.outside() => return Exit::Cancelled,
            () = wait => {}
        }
    }
}
