//! `/ws/stream/NAME`: each binary message is a picture. It is answered by its verdict as JSON and
//! then the censored picture as JPEG, in order. At most ten wait; then the oldest is given up for
//! the newest, and the client is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{AWAY, End, POLICY, SILENCE, close, send, tell};
use crate::api::State;
use crate::frames::{Frames, Queue, Session};
use crate::inspect::{Ask, Format, Inspector, LookError, Looked, Ruling};
use crate::media::clock;

/// A frame that is being looked at: its number, when that began, and the answer to come.
type Work = BoxFuture<'static, (u64, Instant, Result<Looked, LookError>)>;

/// One session.
pub(super) struct Live {
    session: Session,
    inspector: Inspector,
    ruling: Arc<Ruling>,
    idle: Duration,
    stop: CancellationToken,
    queue: Queue<Bytes>,
    work: Option<Work>,
    /// When the client last sent something; what it answers to a ping does not count.
    heard: Instant,
}

impl Live {
    pub(super) fn new(state: &State, session: Session, ruling: Arc<Ruling>) -> Self {
        Self {
            session,
            inspector: state.inspector().clone(),
            ruling,
            idle: state.sessions().limits().idle,
            stop: state.stop().clone(),
            queue: Queue::default(),
            work: None,
            heard: clock::now(),
        }
    }

    /// Serves until either side ends it.
    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let end = loop {
            if let Err(end) = self.step(&mut socket).await {
                break end;
            }
        };
        close(socket, end).await;
    }

    /// Waits for whatever comes next, and deals with it.
    async fn step(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        loop {
            self.begin();
            let (silence, idle) = (clock::now() + SILENCE, self.heard + self.idle);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    return Err(End::Close(AWAY, "the server is shutting down"));
                }
                (number, began, result) = working(&mut self.work) => {
                    self.work = None;
                    self.answer(socket, (number, began), result).await?;
                }
                message = socket.recv() => {
                    let message = message.and_then(Result::ok).ok_or(End::Gone)?;
                    return self.take(socket, message).await;
                }
                () = sleep_until(idle.into()) => {
                    return Err(End::Close(POLICY, "nothing came for too long"));
                }
                () = sleep_until(silence.into()) => send(socket, Message::Ping(Bytes::new())).await?,
            }
        }
    }

    async fn take(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        if matches!(message, Message::Binary(_) | Message::Text(_)) {
            self.heard = clock::now();
            self.session.heard(self.heard);
        }
        match message {
            Message::Binary(frame) => {
                let received = Frames { received: 1, ..Frames::default() };
                self.session.count(received);
                // What waits is bounded by the memory of all sessions too.
                if !self.session.hold(frame.len() as u64) {
                    return self.give_up(socket, frame).await;
                }
                match self.queue.push(frame) {
                    Some((number, frame)) => self.drop_frame(socket, number, &frame).await,
                    None => Ok(()),
                }
            }
            Message::Text(_) => {
                let detail = "send each frame as a binary message: JPEG, PNG or WebP";
                tell(socket, &json!({ "error": { "type": "not-binary", "detail": detail } })).await
            }
            Message::Close(_) => Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    /// Begins with the frame that has waited longest, when nothing is being looked at.
    fn begin(&mut self) {
        if self.work.is_some() {
            return;
        }
        let Some((number, frame)) = self.queue.pop() else { return };
        self.session.release(frame.len() as u64);
        let (inspector, ruling, began) =
            (self.inspector.clone(), self.ruling.clone(), clock::now());
        let ask = Ask { picture: Some(frame), text: None, ruling, output: Some(Format::Jpeg) };
        let look = async move { (number, began, inspector.look_in_turn(ask).await) };
        self.work = Some(look.boxed());
    }

    async fn answer(
        &mut self,
        socket: &mut WebSocket,
        (number, began): (u64, Instant),
        result: Result<Looked, LookError>,
    ) -> Result<(), End> {
        let took_ms = clock::now().saturating_duration_since(began).as_secs_f64() * 1e3;
        match result {
            Ok(Looked { report, file }) => {
                self.session.count(Frames { processed: 1, ..Frames::default() });
                let mut verdict = serde_json::to_value(report).unwrap_or_default();
                verdict["frameId"] = number.into();
                verdict["tookMs"] = ((took_ms * 10.0).round() / 10.0).into();
                tell(socket, &verdict).await?;
                let (_, file) = file.ok_or(End::Gone)?;
                send(socket, Message::Binary(file.into())).await
            }
            Err(error) => {
                self.session.count(Frames { failed: 1, ..Frames::default() });
                tell(socket, &json!({ "frameId": number, "error": told(&error) })).await
            }
        }
    }

    async fn drop_frame(
        &mut self,
        socket: &mut WebSocket,
        number: u64,
        frame: &Bytes,
    ) -> Result<(), End> {
        self.session.release(frame.len() as u64);
        self.session.count(Frames { dropped: 1, ..Frames::default() });
        tell(socket, &json!({ "frameId": number, "dropped": true })).await
    }

    /// There is no memory for a frame: the oldest of this session goes, or else this one.
    async fn give_up(&mut self, socket: &mut WebSocket, frame: Bytes) -> Result<(), End> {
        if let Some((number, oldest)) = self.queue.pop() {
            self.drop_frame(socket, number, &oldest).await?;
            if self.session.hold(frame.len() as u64) {
                self.queue.push(frame);
                return Ok(());
            }
        }
        let number = self.queue.skip();
        self.session.count(Frames { dropped: 1, ..Frames::default() });
        tell(socket, &json!({ "frameId": number, "dropped": true })).await
    }
}

/// The answer to come; for ever when there is none.
async fn working(work: &mut Option<Work>) -> (u64, Instant, Result<Looked, LookError>) {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// An error for programs and people, as a problem names it.
pub(super) fn told(error: &LookError) -> Value {
    let kind = match error {
        LookError::Busy(_) => "busy",
        LookError::Late(_) => "timeout",
        LookError::Detector(_) => "detector-unavailable",
        LookError::Picture(_) => "invalid-picture",
        LookError::Broken => "internal",
    };
    let detail = match error {
        // What a model says of its failure is for the log only.
        LookError::Detector(_) => "the detectors cannot be asked now; see /health".to_owned(),
        error => error.to_string(),
    };
    json!({ "type": kind, "detail": detail })
}
