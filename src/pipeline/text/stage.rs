//! The thread that looks for text in a track's analysed frames, one after the other.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use super::areas::Area;
use super::faint;
use super::geometry::moved;
use super::page::{Besides, Page};
use super::verdict::{Found, Hit};
use crate::detect::text::{self, FindRequest, ReadRequest, Reader, Reading};
use crate::detect::{Failure, Need};
use crate::media::{Picture, Rect, clock};
use crate::runtime::Thread;

/// Looks that may wait. When full, a new one is answered `Shed`: its frame is covered, or judged by
/// its neighbours.
const QUEUE: usize = 32;
/// How long before a look's deadline it is answered with what is known.
const MARGIN: Duration = Duration::from_millis(3);
/// Rounds of searches in one look: the second and third have lines whole that the one before cut.
const ROUNDS: usize = 3;
/// Most lines that are read in one look; the others are unread until the next.
const READS: usize = 24;
/// How long a search of what is not new may take before it is given up.
const PATIENCE: Duration = Duration::from_millis(500);

/// Says what is forbidden in lines that stand together.
pub(crate) type Judge = dyn Fn(&[&str]) -> Vec<Hit> + Send + Sync;

/// Says which characters at a line's end (`true`) or beginning, where it goes on out of sight, may
/// be a part of a forbidden word.
pub(crate) type CutWord = dyn Fn(&str, bool) -> Option<Range<usize>> + Send + Sync;

/// What the rules say about text.
#[derive(Clone)]
pub(crate) struct Rules {
    /// What is forbidden.
    pub judge: Arc<Judge>,
    /// What may be forbidden once the rest of it is seen.
    pub cut_word: Arc<CutWord>,
    /// A forbidden word covers its whole line.
    pub whole_line: bool,
    /// What nobody has read is covered.
    pub cover_unread: bool,
}

/// The answer to a look: what is covered for its text, or why nobody knows.
pub(crate) type Answer = Result<Vec<Found>, Failure>;

/// Whom to tell. Answers `Closed` by itself if it is dropped.
pub(crate) struct Reply(Option<Box<dyn FnOnce(Answer) + Send>>);

impl Reply {
    pub(crate) fn new(reply: impl FnOnce(Answer) + Send + 'static) -> Self {
        Self(Some(Box::new(reply)))
    }

    pub(super) fn call(mut self, answer: Answer) {
        if let Some(reply) = self.0.take() {
            reply(answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            reply(Err(Failure::Closed));
        }
    }
}

/// A frame to look at.
pub(crate) struct Look {
    pub picture: Arc<Picture>,
    /// RTP time in seconds.
    pub time: f64,
    /// By when it is answered.
    pub deadline: Instant,
    pub rules: Arc<Rules>,
    /// Called exactly once, from the lane's thread or from [`Lane::look`]. Must not block.
    pub reply: Reply,
}

/// The text lane of one track. Dropping it tells its thread to end.
pub(crate) struct Lane {
    looks: SyncSender<Look>,
    thread: Thread<()>,
}

impl Lane {
    /// Starts the thread. `stream` names the stream to detection.
    pub(crate) fn start(stream: u64, reader: Arc<dyn Reader>) -> std::io::Result<Self> {
        let (looks, queue) = sync_channel(QUEUE);
        let stage = Stage::new(stream, reader);
        Ok(Self { looks, thread: Thread::spawn("text", move || stage.run(&queue))? })
    }

    /// Hands a frame to the thread. Never waits: see [`QUEUE`].
    pub(crate) fn look(&self, look: Look) {
        match self.looks.try_send(look) {
            Ok(()) => {}
            Err(TrySendError::Full(look)) => look.reply.call(Err(Failure::Shed)),
            Err(TrySendError::Disconnected(look)) => look.reply.call(Err(Failure::Closed)),
        }
    }

    /// Whether its thread still runs.
    pub(crate) fn is_alive(&self) -> bool {
        !self.thread.is_finished()
    }
}

/// A search of what is not new, under way.
struct Rescan {
    area: Area,
    /// Where its picture begins in the whole one, for what was made plainer.
    faint: Option<(f32, f32)>,
    found: Receiver<Result<Vec<text::Line>, Failure>>,
}

/// What the thread owns.
pub(crate) struct Stage {
    stream: u64,
    reader: Arc<dyn Reader>,
    page: Page,
    rescan: Option<Rescan>,
}

impl Stage {
    /// A stage that has seen nothing. `stream` names the stream to detection.
    pub(crate) fn new(stream: u64, reader: Arc<dyn Reader>) -> Self {
        Self { stream, reader, page: Page::default(), rescan: None }
    }

    /// Runs until the lane is dropped.
    fn run(mut self, looks: &Receiver<Look>) {
        while let Ok(look) = looks.recv() {
            self.take(look);
        }
    }

    /// Answers one look.
    pub(crate) fn take(&mut self, look: Look) {
        let Look { picture, time, deadline, rules, reply } = look;
        let until = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        if clock::now() >= until {
            return reply.call(Err(Failure::Late));
        }
        self.end_rescan();
        let [luma, ..] = picture.planes();
        self.page.see(luma, time);
        let complete = self.search(&picture, until) && self.read(&picture, until);
        reply.call(Ok(self.page.answer(&rules)));
        if complete {
            self.start_rescan(&picture);
        }
    }

    /// Searches what is new. Returns whether nothing is left that could not be searched in time.
    fn search(&mut self, picture: &Arc<Picture>, until: Instant) -> bool {
        for round in 1..=ROUNDS {
            let areas = self.page.searches(round > 1);
            if areas.is_empty() {
                return true;
            }
            let (replies, found) = sync_channel(areas.len());
            for (i, area) in areas.iter().enumerate() {
                let replies = replies.clone();
                self.find(picture, area, (until, Need::Required), move |result| {
                    let _ = replies.try_send((i, result));
                });
            }
            drop(replies);
            let mut complete = true;
            for _ in 0..areas.len() {
                match wait::<(usize, Result<Vec<text::Line>, Failure>)>(&found, until) {
                    Some((i, Ok(lines))) => self.page.found(&areas[i], lines, round == ROUNDS),
                    Some((_, Err(_))) => complete = false,
                    None => return false,
                }
            }
            if !complete {
                return false;
            }
        }
        true
    }

    /// Reads what nobody has read. Returns whether nothing is left.
    fn read(&mut self, picture: &Arc<Picture>, until: Instant) -> bool {
        let mut unread = self.page.unread();
        let all = unread.len() <= READS;
        unread.truncate(READS);
        let (replies, readings) = sync_channel(unread.len().max(1));
        for (id, quad) in &unread {
            let (id, replies) = (*id, replies.clone());
            self.reader.read(ReadRequest {
                stream: self.stream,
                picture: picture.clone(),
                quad: *quad,
                deadline: until,
                need: Need::Required,
                reply: Box::new(move |result| drop(replies.try_send((id, result)))),
            });
        }
        drop(replies);
        let [luma, ..] = picture.planes();
        let mut complete = all;
        for _ in 0..unread.len() {
            match wait::<(u64, Result<Reading, Failure>)>(&readings, until) {
                Some((id, Ok(reading))) => self.page.read(id, reading, luma),
                Some((_, Err(_))) => complete = false,
                None => return false,
            }
        }
        complete
    }

    fn find(
        &self,
        picture: &Arc<Picture>,
        area: &Area,
        (deadline, need): (Instant, Need),
        reply: impl FnOnce(Result<Vec<text::Line>, Failure>) + Send + 'static,
    ) {
        self.reader.find(FindRequest {
            stream: self.stream,
            picture: picture.clone(),
            area: area.rect,
            scale: self.page.scale(),
            deadline,
            need,
            reply: Box::new(reply),
        });
    }

    /// Asks for what is faint, or for a part of the picture that was not searched for long; the
    /// answer is taken before the next look.
    fn start_rescan(&mut self, picture: &Arc<Picture>) {
        let (picture, area, faint) = match self.page.besides() {
            None => return,
            Some(Besides::Again(area)) => (picture.clone(), area, None),
            Some(Besides::Faint(area)) => {
                let plain = faint::strengthened(picture, &area.rect, &area.open);
                let Some((copy, (x, y))) = plain else { return };
                let rect = Rect::new(0.0, 0.0, copy.width() as f32, copy.height() as f32);
                (Arc::new(copy), Area { rect, open: rect }, Some((x as f32, y as f32)))
            }
        };
        let (reply, found) = sync_channel(1);
        let by = (clock::now() + PATIENCE, Need::Optional);
        self.find(&picture, &area, by, move |result| drop(reply.try_send(result)));
        self.rescan = Some(Rescan { area, faint, found });
    }

    /// One that is not done yet says nothing of the picture to come.
    fn end_rescan(&mut self) {
        let Some(Rescan { area, faint, found }) = self.rescan.take() else { return };
        let Ok(Ok(lines)) = found.try_recv() else { return };
        match faint {
            None => self.page.found(&area, lines, true),
            Some((x, y)) => self.page.found_faint(
                lines
                    .into_iter()
                    .map(|line| text::Line { quad: moved(&line.quad, x, y), ..line })
                    .collect(),
            ),
        }
    }
}

/// The next message, if it comes in time.
fn wait<T>(messages: &Receiver<T>, until: Instant) -> Option<T> {
    let left = until.saturating_duration_since(clock::now());
    messages.recv_timeout(left).ok()
}
