//! The protocol of `/stream`: numbered frames in any order, each acknowledged; then one end. Pure:
//! messages in, answers out.
//!
//! ```text
//! SESSION_START ──► session_started
//! FRAME + bytes ──► FRAME_ACK      (twice: acknowledged, not kept)
//! SIGNAL + bytes ─► SIGNAL_ACK     (a side file)
//! SESSION_END ────► session_ended  (with what is missing), then the work begins
//! ```

mod message;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::censor::Document;
use message::{Message, header};

/// Most frames of a session: half an hour at 30 a second.
const FRAMES_MAX: usize = 54_000;

/// Most side files of a session.
const FILES_MAX: usize = 16;

/// Longest name of a side file, in characters.
const FILE_NAME_MAX: usize = 100;

/// Most gaps that are named one by one.
const GAPS_TOLD: usize = 100;

/// Pictures a second where the client does not say.
const FPS: f32 = 25.0;

/// A frame as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The file, or the pixels.
    pub data: Bytes,
    /// Width and height of raw pixels; `None` for a picture file.
    pub raw: Option<(u32, u32)>,
}

/// What was asked for with the start of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The raw room whose rules are meant.
    pub room: Option<String>,
    /// Rules on top.
    pub rules: Document,
}

/// All that came, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// Frames by number.
    pub frames: BTreeMap<u64, Frame>,
    /// Pictures a second.
    pub fps: f32,
    /// Side files by name.
    pub files: BTreeMap<String, Bytes>,
    /// Frames that came twice.
    pub duplicates: u64,
}

/// What is to be done after a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// This is answered.
    Say(Value),
    /// The rules are to be looked up; then [`Upload::started`] or [`Upload::refused`].
    Open(Start),
    /// This is answered, and a frame is counted: taken or not.
    Frame(Value, bool),
    /// This is answered, and the work begins.
    Work(Value, Box<Gathered>),
}

/// Where a session stands.
#[derive(Debug)]
enum State {
    /// Nothing was started, or all is done.
    Idle,
    /// The rules are being looked up.
    Opening { fps: f32 },
    /// Frames are taken.
    Open(Gathered),
    /// The work is being done.
    Working,
}

/// What the next binary message is.
#[derive(Debug)]
enum Next {
    Frame(u64, Option<(u32, u32)>),
    File(String),
}

/// One session after the other.
#[derive(Debug)]
pub struct Upload {
    state: State,
    next: Option<Next>,
}

impl Default for Upload {
    fn default() -> Self {
        Self { state: State::Idle, next: None }
    }
}

impl Upload {
    /// Takes a text message.
    pub fn text(&mut self, text: &str) -> Step {
        if let Some(next) = self.next.take() {
            let detail = format!("{} must be followed by a binary message", next.header());
            return error("expected-binary", &detail);
        }
        match serde_json::from_str(text) {
            Ok(message) => self.message(message),
            Err(problem) => error("malformed-message", &problem.to_string()),
        }
    }

    fn message(&mut self, message: Message) -> Step {
        match (message, &mut self.state) {
            (Message::Start { room_name, fps, rules }, State::Idle) => {
                let fps = fps.unwrap_or(FPS);
                if !(1.0..=120.0).contains(&fps) {
                    return error("invalid-message", "fps must be from 1 to 120");
                }
                self.state = State::Opening { fps };
                Step::Open(Start { room: room_name, rules: rules.unwrap_or_default() })
            }
            (Message::Start { .. }, _) => error("unexpected", "a session has begun already"),
            (_, State::Idle | State::Opening { .. }) => {
                error("unexpected", "send SESSION_START first")
            }
            (_, State::Working) => {
                error("unexpected", "the session has ended; wait for its result")
            }
            (Message::Frame { frame, format, width, height }, State::Open(_)) => {
                match header(frame, format, width, height) {
                    Ok(raw) => self.next = Some(Next::Frame(frame, raw)),
                    Err(detail) => return error("invalid-message", &detail),
                }
                Step::Say(Value::Null)
            }
            (Message::Signal { name }, State::Open(_)) => {
                let length = name.chars().count();
                if !(1..=FILE_NAME_MAX).contains(&length) || name.chars().any(char::is_control) {
                    let detail =
                        format!("name must be one line of 1 to {FILE_NAME_MAX} characters");
                    return error("invalid-message", &detail);
                }
                self.next = Some(Next::File(name));
                Step::Say(Value::Null)
            }
            (Message::End {}, State::Open(gathered)) => {
                if gathered.frames.is_empty() {
                    return error("empty", "no frame has come");
                }
                let gathered = std::mem::take(gathered);
                self.state = State::Working;
                Step::Work(ended(&gathered), Box::new(gathered))
            }
        }
    }

    /// Takes a binary message; `hold` takes memory for it, and says whether there is so much.
    pub fn binary(&mut self, data: Bytes, hold: impl FnOnce(u64) -> bool) -> Step {
        let (Some(next), State::Open(gathered)) = (self.next.take(), &mut self.state) else {
            return error(
                "unexpected",
                "a binary message needs a FRAME or SIGNAL message before it",
            );
        };
        match next {
            Next::Frame(frame, raw) => gathered.frame(frame, Frame { data, raw }, hold),
            Next::File(name) => gathered.file(name, data, hold),
        }
    }

    /// The session that was asked for has begun.
    pub fn started(&mut self, session: &str) -> Value {
        let State::Opening { fps } = self.state else { return Value::Null };
        self.state = State::Open(Gathered { fps, ..Gathered::default() });
        json!({ "type": "session_started", "sessionId": session, "fps": fps })
    }

    /// It has not, or what was begun has ended: another may be started.
    pub fn over(&mut self) {
        self.state = State::Idle;
        self.next = None;
    }
}

impl Next {
    fn header(&self) -> &'static str {
        match self {
            Self::Frame(..) => "FRAME",
            Self::File(_) => "SIGNAL",
        }
    }
}

impl Gathered {
    fn frame(&mut self, number: u64, frame: Frame, hold: impl FnOnce(u64) -> bool) -> Step {
        if self.frames.contains_key(&number) {
            self.duplicates += 1;
            let ack = json!({ "type": "FRAME_ACK", "frame": number, "duplicate": true });
            return Step::Frame(ack, false);
        }
        let full = self.frames.len() >= FRAMES_MAX;
        if full || !hold(frame.data.len() as u64) {
            let (code, detail) = match full {
                true => ("too-many-frames", format!("a session has at most {FRAMES_MAX} frames")),
                false => ("memory", "there is no memory for more frames now".to_owned()),
            };
            let told = json!({ "type": "error", "code": code, "frame": number, "detail": detail });
            return Step::Frame(told, false);
        }
        self.frames.insert(number, frame);
        let count = self.frames.len();
        Step::Frame(json!({ "type": "FRAME_ACK", "frame": number, "frames": count }), true)
    }

    fn file(&mut self, name: String, data: Bytes, hold: impl FnOnce(u64) -> bool) -> Step {
        let ack = json!({ "type": "SIGNAL_ACK", "name": name, "bytes": data.len() });
        if self.files.contains_key(&name) {
            return error("invalid-message", "a file of that name has come already");
        }
        if self.files.len() >= FILES_MAX {
            return error(
                "too-many-files",
                &format!("a session has at most {FILES_MAX} side files"),
            );
        }
        if !hold(data.len() as u64) {
            return error("memory", "there is no memory for more files now");
        }
        self.files.insert(name, data);
        Step::Say(ack)
    }

    /// The numbers that are missing between the first and the last: first and last of each gap.
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        let numbers = self.frames.keys();
        let pairs = numbers.clone().zip(numbers.skip(1));
        pairs.filter(|(a, b)| *a + 1 < **b).map(|(a, b)| (a + 1, b - 1)).collect()
    }
}

fn ended(gathered: &Gathered) -> Value {
    let gaps = gathered.gaps();
    let missing: u64 = gaps.iter().map(|(first, last)| last - first + 1).sum();
    json!({
        "type": "session_ended",
        "frames": gathered.frames.len(),
        "duplicates": gathered.duplicates,
        "missing": missing,
        "gaps": gaps.iter().take(GAPS_TOLD).collect::<Vec<_>>(),
    })
}

fn error(code: &str, detail: &str) -> Step {
    Step::Say(json!({ "type": "error", "code": code, "detail": detail }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open() -> Upload {
        let mut upload = Upload::default();
        let asked = upload.text(r#"{"type": "SESSION_START", "fps": 10}"#);
        assert_eq!(asked, Step::Open(Start { room: None, rules: Document::default() }));
        assert_eq!(upload.started("one")["type"], "session_started");
        upload
    }

    fn frame(upload: &mut Upload, number: u64, data: &'static [u8], memory: bool) -> Step {
        let header = format!(r#"{{"type": "FRAME", "frame": {number}, "format": "JPEG"}}"#);
        assert_eq!(upload.text(&header), Step::Say(Value::Null));
        upload.binary(Bytes::from_static(data), |_| memory)
    }

    fn code(step: &Step) -> &str {
        match step {
            Step::Say(value) | Step::Frame(value, _) => value["code"].as_str().unwrap_or(""),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_comes_out_of_turn_is_an_error_and_changes_nothing() {
        let mut upload = Upload::default();
        assert_eq!(code(&upload.text(r#"{"type": "SESSION_END"}"#)), "unexpected");
        assert_eq!(code(&upload.binary(Bytes::new(), |_| true)), "unexpected");
        let mut upload = open();
        for (text, expected) in [
            ("nonsense", "malformed-message"),
            (r#"{"type": "SESSION_START"}"#, "unexpected"),
            (r#"{"type": "SESSION_END"}"#, "empty"),
            (r#"{"type": "FRAME", "frame": 1, "format": "gif"}"#, "malformed-message"),
            (r#"{"type": "FRAME", "frame": 1, "format": "raw", "width": 4}"#, "invalid-message"),
            (r#"{"type": "FRAME", "frame": 99999999, "format": "png"}"#, "invalid-message"),
            (r#"{"type": "SIGNAL", "name": "a\nb"}"#, "invalid-message"),
            (r#"{"type": "FRAME", "frame": 1, "format": "png", "x": 1}"#, "malformed-message"),
        ] {
            assert_eq!(code(&upload.text(text)), expected, "{text}");
        }
        upload.text(r#"{"type": "FRAME", "frame": 1, "format": "png"}"#);
        assert_eq!(code(&upload.text(r#"{"type": "SESSION_END"}"#)), "expected-binary");
        assert_eq!(code(&upload.binary(Bytes::new(), |_| true)), "unexpected");
        let Step::Frame(ack, true) = frame(&mut upload, 1, b"x", true) else { panic!("taken") };
        assert_eq!(ack["type"], "FRAME_ACK");
    }

    #[test]
    fn without_memory_a_frame_is_refused_and_the_session_goes_on() {
        let mut upload = open();
        assert_eq!(code(&frame(&mut upload, 1, b"x", false)), "memory");
        assert!(matches!(frame(&mut upload, 1, b"x", true), Step::Frame(_, true)));
        upload.text(r#"{"type": "SIGNAL", "name": "sound.wav"}"#);
        let Step::Say(ack) = upload.binary(Bytes::from_static(b"abc"), |_| true) else { panic!() };
        assert_eq!((&ack["type"], &ack["bytes"]), (&json!("SIGNAL_ACK"), &json!(3)));
        let Step::Work(_, gathered) = upload.text(r#"{"type": "SESSION_END"}"#) else { panic!() };
        assert_eq!(gathered.files["sound.wav"], &b"abc"[..]);
        assert_eq!(code(&upload.text(r#"{"type": "SESSION_START"}"#)), "unexpected");
        upload.over();
        assert!(matches!(upload.text(r#"{"type": "SESSION_START"}"#), Step::Open(_)));
    }

    proptest! {
        /// Whatever the order, each frame is acknowledged once as new, kept as it first came, put
        /// in order; what is missing is told.
        #[test]
        fn frames_are_put_in_order(numbers in prop::collection::vec(0u64..40, 1..80)) {
            let mut upload = open();
            let mut seen = std::collections::BTreeSet::new();
            for (at, &number) in numbers.iter().enumerate() {
                let data: &'static [u8] = if at % 2 == 0 { b"even" } else { b"odd" };
                let step = frame(&mut upload, number, data, true);
                let Step::Frame(ack, taken) = step else { panic!("{step:?}") };
                prop_assert_eq!(taken, seen.insert(number));
                prop_assert_eq!(&ack["frame"], number);
                prop_assert_eq!(ack["duplicate"] == true, !taken);
            }
            let end = upload.text(r#"{"type": "SESSION_END"}"#);
            let Step::Work(told, gathered) = end else { panic!("{end:?}") };
            prop_assert!(gathered.frames.keys().eq(seen.iter()));
            prop_assert_eq!(gathered.duplicates as usize, numbers.len() - seen.len());
            let (first, last) = (*seen.first().unwrap(), *seen.last().unwrap());
            let missing: Vec<u64> = (first..=last).filter(|n| !seen.contains(n)).collect();
            let gaps: Vec<u64> = gathered.gaps().into_iter().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(&told["missing"], missing.len());
            prop_assert_eq!(missing, gaps);
        }

        /// No text makes it panic, and none is taken for a frame.
        #[test]
        fn any_text_is_answered(texts in prop::collection::vec(".{0,60}", 0..10)) {
            let mut upload = open();
            for text in texts {
                prop_assert!(!matches!(upload.text(&text), Step::Work(..) | Step::Frame(..)));
            }
        }
    }
}
