//! One room joined: signalling and media of one connection, kept alive together.
//!
//! When either breaks, the session is resumed: signalling is reopened and the media path looked
//! for anew, while whatever still flows goes on flowing. When that fails, [`Happened::Ended`]
//! hands the verdict to the owner, who joins anew or gives up.

use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_signaling::SignalError;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::{Event, IceConnectionState};

use super::backoff::Backoff;
use super::rtc::{Peer, PeerError, Role};
use super::signal::{Notice, Signal};
use super::socket::Faults;
use super::verdict::{self, Verdict};
use super::watchdog::Watchdog;
use crate::media::clock;

/// How often a path that is being looked for is checked for its first packet.
const LOOK: Duration = Duration::from_millis(50);

/// How long the server's reason may take after it closed the peer connection.
const PARTING: Duration = Duration::from_millis(500);

/// Something the owner of the room has to deal with.
#[derive(Debug)]
pub(super) enum Happened {
    /// The peer connection says something.
    Media(Box<Event>),
    /// The server says something.
    Message(Box<Response>),
    /// The connection broke and is being resumed. The reason is for a person.
    Lost(String),
    /// Signalling is back: [`Room::resynchronise`] is due.
    Resumed,
    /// Media is back after a loss.
    Restored,
    /// The room is over.
    Ended(Verdict),
}

/// Joining failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    /// The server could not be reached, or did not let us in.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The peer connection could not be set up.
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// What is needed to join.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    /// Address of the server.
    pub(super) url: String,
    /// A token for the room.
    pub(super) token: String,
    /// Which way media flows.
    pub(super) role: Role,
    /// Faults of the network, in tests.
    pub(super) faults: Faults,
}

/// A joined room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) peer: Peer,
    signal: Signal,
    role: Role,
    watchdog: Watchdog,
    backoff: Backoff,
    /// Since when it is lost and not restored.
    lost: Option<Instant>,
    /// Signalling is up (again).
    signalled: bool,
    /// When to try to resume next.
    retry: Option<Instant>,
    /// When to stop waiting for the reason why the peer connection was closed.
    parting: Option<Instant>,
}

impl Room {
    /// Joins.
    pub(super) async fn join(
        invitation: Invitation,
    ) -> Result<(Self, proto::JoinResponse), JoinError> {
        let Invitation { url, token, role, faults } = invitation;
        let (signal, join) = Signal::join(&url, &token).await?;
        let now = clock::now();
        let peer = Peer::open(role, &authority(&url), faults, now).await?;
        let watchdog = match role {
            // The server offers at once, whether there are tracks or not.
            Role::Subscriber => Watchdog::Establishing(now),
            Role::Publisher => Watchdog::Idle,
        };
        let room = Self {
            peer,
            signal,
            role,
            watchdog,
            backoff: Backoff::default(),
            lost: None,
            signalled: true,
            retry: None,
            parting: None,
        };
        Ok((room, join))
    }

    /// The next thing that happens. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Happened {
        loop {
            let now = clock::now();
            if let Some(happened) = self.check(now) {
                return happened;
            }
            if self.watchdog.fall_back().is_some_and(|due| now >= due) {
                self.peer.try_tcp();
            }
            let wake = self.wake(now);
            let happened = tokio::select! {
                biased;
                notice = self.signal.next() => self.notice(notice),
                event = self.peer.next() => match event {
                    Ok(Event::IceConnectionStateChange(IceConnectionState::Disconnected))
                        if !self.watchdog.establishing() =>
                    {
                        self.lose("the media path is gone".into())
                    }
                    Ok(event) => Some(Happened::Media(Box::new(event))),
                    Err(error) => Some(Happened::Ended(Verdict::Rejoin(error.to_string()))),
                },
                () = sleep_until(wake) => None,
            };
            if let Some(happened) = happened {
                return happened;
            }
        }
    }

    /// Sends a request, at once or when the connection allows.
    pub(super) fn send(&mut self, request: Request) {
        if !self.signal.send(request) {
            tracing::warn!("the server has stopped reading our requests");
            let now = clock::now();
            self.retry.get_or_insert(now);
            self.lost.get_or_insert(now);
            self.signalled = false;
        }
    }

    /// Answers the server's offer.
    pub(super) fn answer(
        &mut self,
        offer: &proto::SessionDescription,
    ) -> Result<proto::SessionDescription, PeerError> {
        let sdp = self.peer.accept_offer(&offer.sdp, &offer.mid_to_track_id)?;
        let answer = describe("answer", sdp, offer.id);
        self.send(Request::Answer(answer.clone()));
        Ok(answer)
    }

    /// Takes a candidate that the server trickles.
    pub(super) fn trickle(&mut self, trickle: &proto::TrickleRequest) {
        let ours = match self.role {
            Role::Subscriber => proto::SignalTarget::Subscriber,
            Role::Publisher => proto::SignalTarget::Publisher,
        };
        if trickle.target() != ours {
            return;
        }
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&trickle.candidate_init);
        if let Ok(init) = parsed
            && let Some(line) = init["candidate"].as_str().filter(|line| !line.is_empty())
        {
            self.peer.candidate(line);
        }
    }

    /// A media path is wanted from now on (the first offer went out).
    pub(super) fn establish(&mut self, now: Instant) {
        if matches!(self.watchdog, Watchdog::Idle) {
            self.watchdog = Watchdog::Establishing(now);
        }
    }

    /// After [`Happened::Resumed`]: tells the server what we know; with `offer`, looks for our
    /// media path anew.
    pub(super) fn resynchronise(
        &mut self,
        state: proto::SyncState,
        offer: Option<proto::SessionDescription>,
    ) {
        self.send(Request::SyncState(state));
        if let Some(offer) = offer {
            self.send(Request::Offer(offer));
        }
        if self.signal.reconnected() {
            self.signalled = true;
        }
    }

    /// Leaves.
    pub(super) async fn leave(self) {
        self.signal.leave().await;
    }

    fn check(&mut self, now: Instant) -> Option<Happened> {
        if !self.peer.alive() {
            let due = *self.parting.get_or_insert(now + PARTING);
            let reason = || "the server closed the media connection".into();
            return (now >= due).then(|| Happened::Ended(Verdict::Rejoin(reason())));
        }
        let heard = self.peer.heard();
        if self.has_path(heard) && self.signalled && self.lost.take().is_some() {
            self.backoff = Backoff::default();
            return Some(Happened::Restored);
        }
        if self.watchdog.deadline(heard).is_some_and(|due| now >= due) {
            if self.watchdog.establishing() {
                let reason = "no media path to the server could be found".into();
                return Some(Happened::Ended(Verdict::Rejoin(reason)));
            }
            return self.lose("no packet from the server for two seconds".into());
        }
        if self.retry.is_some_and(|retry| now >= retry) {
            self.retry = None;
            self.signal.resume(proto::ReconnectReason::RrSignalDisconnected);
        }
        None
    }

    fn wake(&self, now: Instant) -> Option<Instant> {
        if self.parting.is_some() {
            return self.parting;
        }
        let watchdog = self.watchdog.deadline(self.peer.heard());
        let look = self.watchdog.establishing().then(|| now + LOOK);
        [watchdog, look, self.retry].into_iter().flatten().min()
    }

    fn notice(&mut self, notice: Notice) -> Option<Happened> {
        match notice {
            Notice::Message(message) => match *message {
                Response::Leave(leave) => self.obey(verdict::told_to_leave(&leave)),
                _ => Some(Happened::Message(message)),
            },
            Notice::Closed(reason) => self.lose(reason),
            Notice::Resumed(Ok(())) => {
                if !matches!(self.watchdog, Watchdog::Idle) {
                    self.watchdog = Watchdog::Establishing(clock::now());
                }
                Some(Happened::Resumed)
            }
            Notice::Resumed(Err(error)) => {
                let wait = self.backoff.next(fastrand::f64());
                let lost_for = self.lost.map_or(Duration::ZERO, |since| since.elapsed());
                match verdict::resume_failed(&error, lost_for) {
                    Verdict::Resume(_) => {
                        self.retry = Some(clock::now() + wait);
                        None
                    }
                    verdict => Some(Happened::Ended(verdict)),
                }
            }
        }
    }

    fn obey(&mut self, verdict: Verdict) -> Option<Happened> {
        match verdict {
            Verdict::Resume(reason) => self.lose(reason),
            verdict => Some(Happened::Ended(verdict)),
        }
    }

    /// Starts to resume, unless that is under way.
    fn lose(&mut self, reason: String) -> Option<Happened> {
        let now = clock::now();
        // A path has to be found again, or to show that it was never gone.
        if matches!(self.watchdog, Watchdog::Established) {
            self.watchdog = Watchdog::Establishing(now);
        }
        if self.signal.resuming() || self.retry.is_some() {
            return None;
        }
        self.retry = Some(now);
        self.signalled = false;
        let news = self.lost.is_none();
        self.lost.get_or_insert(now);
        news.then_some(Happened::Lost(reason))
    }

    /// Whether media can flow as far as it is wanted.
    fn has_path(&mut self, heard: Instant) -> bool {
        if self.peer.connected() {
            self.watchdog.hear(heard);
        }
        !self.watchdog.establishing()
    }
}

/// A session description as the server wants it.
pub(super) fn describe(kind: &str, sdp: String, id: u32) -> proto::SessionDescription {
    proto::SessionDescription { r#type: kind.into(), sdp, id, ..Default::default() }
}

/// Sleeps until then, or for ever.
pub(super) async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}

/// Host and port of a URL.
fn authority(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port {
        return host.to_owned();
    }
    let port = if matches!(scheme, "wss" | "https") { 443 } else { 80 };
    format!("{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_of_every_kind_of_url() {
        let cases = [
            ("ws://127.0.0.1:7880", "127.0.0.1:7880"),
            ("wss://live.example.com", "live.example.com:443"),
            ("https://user@live.example.com/path?x=1", "live.example.com:443"),
            ("http://[::1]:7880/", "[::1]:7880"),
            ("http://[::1]", "[::1]:80"),
        ];
        for (url, expected) in cases {
            assert_eq!(authority(url), expected);
        }
    }
}
