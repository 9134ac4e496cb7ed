//! The words of one picture, through the text lane of the streams.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::report::{Covered, Kind, Passed, Why};
use super::words::{Words, written};
use crate::censor::{Policy, Region, TextCover, TextPolicy, Unread};
use crate::detect::text::Reader;
use crate::detect::{Failure, Finding};
use crate::media::{Picture, clock};
use crate::pipeline::text::{Found, Hit, Look, Reply, Rules, Stage};
use crate::text;
use crate::track::{Classes, TEXT, TEXT_UNREAD};

use super::judge::{Judged, areas};

/// The most looks at one picture: each reads some two dozen lines.
const LOOKS: usize = 4;
/// The time between two looks, in seconds of the picture's own time.
const STEP: f64 = 0.04;

/// What the lane found in the picture, and what it was read as.
struct Seen {
    found: Vec<Found>,
    read: Vec<Read>,
}

/// A word that the judges know, as it was read. The lane carries its number as the rule's name.
#[derive(Clone)]
struct Read {
    word: String,
    hit: text::Hit,
    mercy: Option<Why>,
}

/// Looks for words until `deadline`. Blocks.
///
/// # Errors
///
/// When the models could not be asked at all. What they could not read in time is found as unread.
pub(super) fn look(
    picture: &Arc<Picture>,
    reader: Arc<dyn Reader>,
    (policy, text, words): (&Policy, &TextPolicy, &Arc<Words>),
    (stream, deadline): (u64, Instant),
) -> Result<Judged, Failure> {
    let mut stage = Stage::new(stream, reader);
    let mut seen = Seen { found: Vec::new(), read: Vec::new() };
    for round in 0..LOOKS {
        let how = (words, text.cover == TextCover::Line);
        let next = once(&mut stage, picture, how, (round as f64 * STEP, deadline));
        seen = match next {
            Ok(next) => next,
            Err(_) if round > 0 => break,
            Err(failure) => return Err(failure),
        };
        if seen.found.iter().all(|found| found.rule.is_some()) || clock::now() >= deadline {
            break;
        }
    }
    Ok(tell(&seen, (picture.width(), picture.height()), policy, text))
}

fn once(
    stage: &mut Stage,
    picture: &Arc<Picture>,
    (words, whole_line): (&Arc<Words>, bool),
    (time, deadline): (f64, Instant),
) -> Result<Seen, Failure> {
    let read: Arc<Mutex<Vec<Read>>> = Arc::default();
    let (words, cut, into) = (words.clone(), words.clone(), read.clone());
    let judge = move |lines: &[&str]| {
        let mut read = into.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hits = Vec::new();
        for one in words.judge(lines) {
            let (line, range) = (one.hit.line, one.hit.range.clone());
            hits.push(Hit { line, range: range.clone(), rule: read.len().to_string().into() });
            let word = written(lines[line], &range);
            read.push(Read { word, hit: one.hit, mercy: one.mercy });
        }
        hits
    };
    // What is unread is always told; whether it is covered is decided afterwards.
    let judge = Arc::new(judge);
    let cut_word = Arc::new(move |line: &str, end| cut.cut_word(line, end));
    let rules = Rules { judge, cut_word, whole_line, cover_unread: true };
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let reply = Reply::new(move |answer| drop(tell.try_send(answer)));
    stage.take(Look { picture: picture.clone(), time, deadline, rules: Arc::new(rules), reply });
    let found = told.recv().unwrap_or(Err(Failure::Closed))?;
    let read = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Seen { found, read })
}

/// What becomes of what was found.
fn tell(seen: &Seen, size: (u32, u32), policy: &Policy, text: &TextPolicy) -> Judged {
    let mut judged = Judged::default();
    let classes = Classes::new(policy);
    for found in &seen.found {
        let read =
            found.rule.as_ref().and_then(|number| seen.read.get(number.parse::<usize>().ok()?));
        let (class, score) = (if read.is_some() { TEXT } else { TEXT_UNREAD }, 1.0);
        let mercy = match read {
            Some(read) => read.mercy,
            None => (text.unread == Unread::Show).then_some(Why::Unread),
        };
        let label = read.map_or_else(|| TEXT_UNREAD.to_owned(), |read| read.word.clone());
        let entry = read.map(|read| read.hit.word.to_string());
        let said = read.map_or(score, |read| read.hit.score);
        let threshold = read.map(|_| text::THRESHOLD);
        let kind = Kind::Text;
        if let Some(reason) = mercy {
            let place = Some(found.rect.into());
            let (start, end) = (None, None);
            let passed =
                Passed { kind, label, entry, score: said, threshold, place, start, end, reason };
            judged.passed.push(passed);
            continue;
        }
        let finding = Finding { class: class.into(), score, rect: found.rect };
        for area in areas(&[finding], size, policy, &classes) {
            judged.regions.push(Region::from(&area));
            judged.covered.push(Covered {
                kind,
                label: label.clone(),
                entry: entry.clone(),
                score: said,
                threshold,
                place: area.rect.into(),
                action: area.action,
            });
        }
    }
    judged
}
