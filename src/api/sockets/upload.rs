//! `/stream`: numbered frames are gathered, then judged and covered; the result is a video and a
//! report. The protocol is `frames::Upload`'s; here it meets a socket and a thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{AWAY, End, POLICY, SILENCE, close, send, tell};
use crate::api::State;
use crate::api::pictures::ruling;
use crate::frames::{Film, FilmError, Frames, Gathered, Session, Start, Step, Studio, Upload};
use crate::inspect::Ruling;
use crate::media::clock;
use crate::runtime::Thread;

/// News of the work that may wait for the socket. When full, progress is left out; the thread waits
/// with the result.
const NEWS: usize = 8;

/// How often progress is told, at most.
const PROGRESS: Duration = Duration::from_millis(250);

/// Bytes of one message of the result.
const PIECE: usize = 1 << 20;

/// What the thread that does the work tells.
enum News {
    Progress(usize),
    Done(Result<Film, FilmError>),
}

/// The work of a session.
struct Work {
    news: mpsc::Receiver<News>,
    frames: usize,
    began: Instant,
    _thread: Thread<()>,
}

/// One connection.
pub(super) struct Connection {
    state: State,
    session: Arc<Session>,
    upload: Upload,
    ruling: Option<Arc<Ruling>>,
    work: Option<Work>,
    heard: Instant,
    /// Ends the work when the connection does.
    stop: CancellationToken,
}

impl Connection {
    pub(super) fn new(state: State, session: Session) -> Self {
        let stop = state.stop().child_token();
        let (session, heard) = (Arc::new(session), clock::now());
        Self { state, session, upload: Upload::default(), ruling: None, work: None, heard, stop }
    }

    /// Serves until either side ends it.
    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let _ends = self.stop.clone().drop_guard();
        let end = loop {
            if let Err(end) = self.step(&mut socket).await {
                break end;
            }
        };
        close(socket, end).await;
    }

    /// Waits for whatever comes next, and deals with it.
    async fn step(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let silence = clock::now() + SILENCE;
        // While the work is being done nothing is expected of the client.
        let idle = self.heard + self.state.sessions().limits().idle;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(End::Close(AWAY, "the server is shutting down")),
            message = socket.recv() => {
                let message = message.and_then(Result::ok).ok_or(End::Gone)?;
                self.take(socket, message).await
            }
            news = working(&mut self.work) => self.news(socket, news).await,
            () = sleep_until(idle.into()), if self.work.is_none() => {
                Err(End::Close(POLICY, "nothing came for too long"))
            }
            () = sleep_until(silence.into()) => send(socket, Message::Ping(Bytes::new())).await,
        }
    }

    async fn take(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        let step = match message {
            Message::Text(text) => self.upload.text(&text),
            Message::Binary(data) => {
                let session = self.session.clone();
                self.upload.binary(data, |bytes| session.hold(bytes))
            }
            Message::Close(_) => return Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        self.heard = clock::now();
        self.session.heard(self.heard);
        match step {
            Step::Say(Value::Null) => Ok(()),
            Step::Say(answer) => tell(socket, &answer).await,
            Step::Frame(answer, taken) => {
                let dropped = u64::from(!taken);
                let counted = Frames { received: 1, dropped, ..Frames::default() };
                self.session.count(counted);
                tell(socket, &answer).await
            }
            Step::Open(start) => self.open(socket, start).await,
            Step::Work(answer, gathered) => {
                tell(socket, &answer).await?;
                self.work(socket, *gathered).await
            }
        }
    }

    /// Looks the rules up, and begins.
    async fn open(&mut self, socket: &mut WebSocket, start: Start) -> Result<(), End> {
        match ruling(&self.state, start.room, start.rules, false).await {
            Ok(ruling) => {
                self.ruling = Some(ruling);
                let name = self.session.name().to_owned();
                let answer = self.upload.started(&name);
                tell(socket, &answer).await
            }
            Err(problem) => {
                self.upload.over();
                tell(socket, &error("invalid-rules", problem.detail())).await
            }
        }
    }

    /// Starts the thread that makes the film.
    async fn work(&mut self, socket: &mut WebSocket, gathered: Gathered) -> Result<(), End> {
        let Some(ruling) = self.ruling.take() else { return Err(End::Gone) };
        let frames = gathered.frames.len();
        let studio = Studio {
            inspector: self.state.inspector().clone(),
            ruling,
            session: self.session.clone(),
            stop: self.stop.clone(),
        };
        let (tell_news, news) = mpsc::channel(NEWS);
        let thread = Thread::spawn_yielding("film", move || {
            let mut told = clock::now();
            let progress = |done| {
                let now = clock::now();
                if done == frames || now.saturating_duration_since(told) >= PROGRESS {
                    told = now;
                    drop(tell_news.try_send(News::Progress(done)));
                }
            };
            let result = studio.make(gathered, progress);
            let _ = tell_news.blocking_send(News::Done(result));
        });
        match thread {
            Ok(thread) => {
                let began = clock::now();
                self.work = Some(Work { news, frames, began, _thread: thread });
                tell(socket, &json!({ "type": "process_start", "frames": frames })).await
            }
            Err(failure) => {
                tracing::error!(%failure, "no thread to make a film");
                self.end_work();
                tell(socket, &error("internal", "the work could not begin")).await
            }
        }
    }

    async fn news(&mut self, socket: &mut WebSocket, news: Option<News>) -> Result<(), End> {
        match news {
            Some(News::Progress(done)) => self.progress(socket, done).await,
            Some(News::Done(result)) => {
                let told = match result {
                    Ok(film) => deliver(socket, film).await,
                    Err(FilmError::Stopped) => Err(End::Close(AWAY, "the server is shutting down")),
                    Err(failure) => {
                        tell(socket, &error("processing-failed", &failure.to_string())).await
                    }
                };
                // The video counts until it has been sent.
                self.end_work();
                told
            }
            None => {
                // The thread panicked: that is in the log.
                self.end_work();
                tell(socket, &error("internal", "something failed here; the log has it")).await
            }
        }
    }

    async fn progress(&mut self, socket: &mut WebSocket, done: usize) -> Result<(), End> {
        let Some(work) = &self.work else { return Ok(()) };
        let (frames, took) = (work.frames, clock::now().saturating_duration_since(work.began));
        let fps = done as f64 / took.as_secs_f64().max(1e-3);
        let percent = done * 100 / frames.max(1);
        let news = json!({
            "type": "process_progress", "percent": percent, "frames": done,
            "fps": (fps * 10.0).round() / 10.0,
        });
        tell(socket, &news).await
    }

    /// The next session may begin; what this one held is given back.
    fn end_work(&mut self) {
        self.work = None;
        self.upload.over();
        self.session.release(u64::MAX);
        self.heard = clock::now();
    }
}

/// The next news of the work; for ever when there is none.
async fn working(work: &mut Option<Work>) -> Option<News> {
    match work {
        Some(work) => work.news.recv().await,
        None => std::future::pending().await,
    }
}

/// The result as JSON, and then the video in pieces.
async fn deliver(socket: &mut WebSocket, film: Film) -> Result<(), End> {
    let Film { video, report } = film;
    let video = Bytes::from(video);
    let pieces = video.len().div_ceil(PIECE);
    let about = json!({ "mediaType": "video/mp4", "bytes": video.len(), "messages": pieces });
    let result = json!({ "video": about, "report": report });
    tell(socket, &json!({ "type": "process_complete", "result": result })).await?;
    for at in (0..video.len()).step_by(PIECE) {
        let piece = video.slice(at..(at + PIECE).min(video.len()));
        send(socket, Message::Binary(piece)).await?;
    }
    Ok(())
}

fn error(code: &str, detail: &str) -> Value {
    json!({ "type": "error", "code": code, "detail": detail })
}
