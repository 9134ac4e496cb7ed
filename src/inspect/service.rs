//! Asks the detectors about one picture at a time and makes the answer of what they say.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::judge::judge;
use super::picture::{self, Format, PictureError};
use super::report::Report;
use super::still;
use super::words::Words;
use crate::censor::{self, Document, Policy, Region, TextPolicy, TextRule};
use crate::detect::{Failure, Need, Request, Service};
use crate::media::{Picture, clock};
use crate::runtime::{Permit, Permits};

/// What the detectors take all pictures for, beside the streams: one stream, so that pictures take
/// turns with each of them however many come.
const STREAM: u64 = u64::MAX;

/// How much longer than the detectors' time an answer is waited for: it comes from another thread.
const GRACE: Duration = Duration::from_millis(250);

/// How many times the detectors' time a frame of a film waits for its turn: nobody waits for it.
const TURNS: u32 = 5;

/// What an operator allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Pictures at once; further ones are refused.
    pub at_once: usize,
    /// How large a picture may be.
    pub picture: picture::Limits,
    /// How long the detectors may take for one.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { at_once: 2, picture: picture::Limits::default(), time: Duration::from_secs(2) }
    }
}

/// The rules that a picture or text is held against, or all of a session.
pub struct Ruling {
    policy: Policy,
    /// What is said of words, whether or not text is looked at.
    text: TextPolicy,
    /// Made when they are first needed: that takes longer than a look.
    words: OnceLock<Arc<Words>>,
}

impl std::fmt::Debug for Ruling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ruling").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Ruling {
    /// `document`: all levels of rules laid over each other; `policy`: what it means.
    pub fn new(document: &Document, policy: Policy) -> Self {
        let text = policy.text.as_deref().cloned().or_else(|| {
            let said = document.text.clone().unwrap_or_default();
            TextRule { enabled: Some(true), action: None, ..said }.resolve()
        });
        let text = text.unwrap_or_else(|| TextPolicy {
            rules: crate::text::Rules::default(),
            cover: censor::TextCover::default(),
            unread: censor::Unread::default(),
            action: censor::Action::Blur,
        });
        Self { policy, text, words: OnceLock::new() }
    }

    fn words(&self) -> &Arc<Words> {
        let enabled = self.policy.text.is_some();
        self.words.get_or_init(|| Arc::new(Words::new(&self.text, enabled)))
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// A picture file.
    pub picture: Option<Bytes>,
    /// A text.
    pub text: Option<String>,
    /// The rules.
    pub ruling: Arc<Ruling>,
    /// The kind of file in which the censored picture is wanted; `None`: it is not.
    pub output: Option<Format>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What was found.
    pub report: Report,
    /// The censored picture, where it was wanted: its kind and the file.
    pub file: Option<(Format, Vec<u8>)>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// So many pictures are being looked at already.
    #[error("{0} pictures are being looked at already; try again in a moment")]
    Busy(usize),
    /// The picture is not looked at.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A detector did not answer in time.
    #[error("the detectors did not answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// A detector cannot be asked.
    #[error("{0}")]
    Detector(Failure),
    /// A fault of this server.
    #[error("looking at the picture failed")]
    Broken,
}

/// Looks at pictures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inspector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    detect: Service,
    limits: Limits,
    places: Permits,
}

impl Inspector {
    /// Looks with the detectors of `detect`.
    pub fn new(detect: Service, limits: Limits) -> Self {
        let places = Permits::new(limits.at_once);
        Self(Arc::new(Inner { detect, limits, places }))
    }

    /// What it allows.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Looks at a picture, a text, or both, on a thread where that holds nobody up.
    ///
    /// # Errors
    ///
    /// [`LookError::Busy`] at once when [`Limits::at_once`] are being looked at; else see there.
    pub async fn look(&self, ask: Ask) -> Result<Looked, LookError> {
        self.run(ask, Duration::ZERO).await
    }

    /// The same, for one of a row of pictures: waits for a place, as long as the detectors may take.
    ///
    /// # Errors
    ///
    /// See [`Self::look`].
    pub async fn look_in_turn(&self, ask: Ask) -> Result<Looked, LookError> {
        self.run(ask, self.0.limits.time).await
    }

    async fn run(&self, ask: Ask, patience: Duration) -> Result<Looked, LookError> {
        let inner = self.0.clone();
        let work = move || {
            let _place = inner.place(patience)?;
            inner.answer(&ask)
        };
        // A panic of a decoder is in the log already.
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(LookError::Broken))
    }

    /// Judges one frame of a film and covers what the rules forbid: a file, or raw pixels (red,
    /// green and blue of 8 bits) of a width and height. With `size`, it must have that. Waits for a
    /// place, and blocks.
    ///
    /// # Errors
    ///
    /// When it is no picture, has another size, or the detectors do not answer.
    pub(crate) fn censor(
        &self,
        (data, raw): (&[u8], Option<(u32, u32)>),
        size: Option<(u32, u32)>,
        ruling: &Ruling,
    ) -> Result<(Report, Arc<Picture>), LookError> {
        let inner = &self.0;
        let _place = inner.place(inner.limits.time * TURNS)?;
        let picture = Arc::new(match raw {
            Some(size) => picture::raw(data, size, &inner.limits.picture)?,
            None => picture::decode(data, &inner.limits.picture)?,
        });
        let own = (picture.width(), picture.height());
        if let Some(expected) = size.filter(|size| *size != own) {
            return Err(PictureError::Differs { size: own, expected }.into());
        }
        let (report, regions) = inner.judge(&picture, ruling)?;
        if regions.is_empty() {
            return Ok((report, picture));
        }
        let mut censored = Picture::copy_of(&picture);
        censor::apply(&mut censored, &regions);
        Ok((report, Arc::new(censored)))
    }
}

impl Inner {
    /// A place among the pictures that are looked at, within some time. Blocks.
    fn place(&self, patience: Duration) -> Result<Permit<'_>, LookError> {
        let until = clock::now() + patience;
        self.places.take(until).ok_or(LookError::Busy(self.limits.at_once))
    }

    fn answer(&self, ask: &Ask) -> Result<Looked, LookError> {
        let ruling = &ask.ruling;
        let mut looked = Looked { report: Report::default(), file: None };
        if let Some(bytes) = &ask.picture {
            let picture = Arc::new(picture::decode(bytes, &self.limits.picture)?);
            let (report, regions) = self.judge(&picture, ruling)?;
            looked.report = report;
            if let Some(format) = ask.output {
                let mut censored = Picture::copy_of(&picture);
                censor::apply(&mut censored, &regions);
                looked.file = Some((format, picture::encode(&censored, format)?));
            }
        }
        if let Some(text) = &ask.text {
            let (spotted, passed) = ruling.words().text(text);
            looked.report.text = spotted;
            looked.report.passed.extend(passed);
        }
        Ok(looked)
    }

    /// What the rules make of a picture, and what is to be covered in it.
    fn judge(
        &self,
        picture: &Arc<Picture>,
        ruling: &Ruling,
    ) -> Result<(Report, Vec<Region>), LookError> {
        let deadline = clock::now() + self.limits.time;
        let (tell, told) = sync_channel(1);
        self.detect.submit(Request {
            stream: STREAM,
            picture: picture.clone(),
            deadline,
            // First to go when streams need the detectors, and no measure of what streams wait for.
            need: Need::Optional,
            reply: Box::new(move |answer| drop(tell.try_send(answer.result))),
        });
        let words = self.words(picture, ruling, deadline);
        let left = (deadline + GRACE).saturating_duration_since(clock::now());
        let findings = match told.recv_timeout(left) {
            Ok(result) => result.map_err(|failure| self.failed(failure))?,
            Err(RecvTimeoutError::Timeout) => return Err(LookError::Late(self.limits.time)),
            Err(RecvTimeoutError::Disconnected) => return Err(self.failed(Failure::Closed)),
        };
        let size = (picture.width(), picture.height());
        let mut judged = judge(&findings, size, &ruling.policy);
        if let Some(words) = words {
            let words = words.map_err(|failure| self.failed(failure))?;
            judged.covered.extend(words.covered);
            judged.passed.extend(words.passed);
            judged.regions.extend(words.regions);
        }
        let (width, height) = (Some(size.0), Some(size.1));
        let report = Report {
            width,
            height,
            covered: judged.covered,
            passed: judged.passed,
            text: Vec::new(),
        };
        Ok((report, judged.regions))
    }

    /// The words in the picture; `None` when the rules do not look at text.
    fn words(
        &self,
        picture: &Arc<Picture>,
        ruling: &Ruling,
        deadline: Instant,
    ) -> Option<Result<super::judge::Judged, Failure>> {
        let policy = &ruling.policy;
        let text = policy.text.as_deref()?;
        let Some(reader) = self.detect.reader() else {
            return Some(Err(Failure::Failed("no model that reads text is loaded".into())));
        };
        Some(still::look(picture, reader, (policy, text, ruling.words()), (STREAM, deadline)))
    }

    fn failed(&self, failure: Failure) -> LookError {
        match failure {
            Failure::Late | Failure::TimedOut => LookError::Late(self.limits.time),
            failure => LookError::Detector(failure),
        }
    }
}
