//! What one stream's trace is made of.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use super::{Span, Tracer, Value};

/// What every stream goes through once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// It is in both rooms.
    Joined,
    /// A frame was decoded.
    Frame,
    /// A frame was looked at.
    Verdict,
    /// A frame was released.
    Release,
}

impl Milestone {
    const ALL: [Self; 4] = [Self::Joined, Self::Frame, Self::Verdict, Self::Release];

    fn name(self) -> &'static str {
        match self {
            Self::Joined => "join",
            Self::Frame => "first frame",
            Self::Verdict => "first verdict",
            Self::Release => "first release",
        }
    }

    /// What its span begins with; `None`: the stream's start.
    fn after(self) -> Option<Self> {
        match self {
            Self::Joined => None,
            Self::Frame => Some(Self::Joined),
            Self::Verdict | Self::Release => Some(Self::Frame),
        }
    }
}

/// One stream's trace; clones share it. Off unless made by a [`Tracer`] that is on: then each call
/// costs a look at a pointer.
#[derive(Clone, Debug, Default)]
pub struct StreamTrace(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    tracer: Tracer,
    trace: u128,
    root: u64,
    room: String,
    /// The same moment on both clocks: a jump of the system's clock does not bend the spans.
    began: (Instant, SystemTime),
    /// A bit for each milestone, so that the media path looks at one number.
    reached: AtomicU8,
    times: Mutex<[Option<Instant>; Milestone::ALL.len()]>,
}

impl Tracer {
    /// Begins the trace of a stream with this id; `now` is the same moment on both clocks.
    pub fn stream(&self, id: u128, room: &str, now: (Instant, SystemTime)) -> StreamTrace {
        StreamTrace(self.is_on().then(|| {
            Arc::new(Inner {
                tracer: self.clone(),
                trace: id,
                root: new_id(),
                room: room.to_owned(),
                began: now,
                reached: AtomicU8::new(0),
                times: Mutex::default(),
            })
        }))
    }
}

impl StreamTrace {
    /// Notes that the stream has come this far; only the first time counts.
    pub fn reach(&self, milestone: Milestone, now: Instant) {
        let Some(inner) = &self.0 else { return };
        let bit = 1 << milestone as u8;
        if inner.reached.load(Relaxed) & bit != 0 || inner.reached.fetch_or(bit, Relaxed) & bit != 0
        {
            return;
        }
        let mut times = inner.times.lock().unwrap_or_else(PoisonError::into_inner);
        times[milestone as usize] = Some(now);
        let since = milestone.after().and_then(|before| times[before as usize]);
        drop(times);
        inner.part(milestone.name(), since.unwrap_or(inner.began.0), now, Vec::new());
    }

    /// The stream is over; `error` when it was lost, or never began.
    pub fn end(&self, error: Option<&str>, now: Instant) {
        let Some(inner) = &self.0 else { return };
        inner.tracer.take(Span {
            trace: inner.trace,
            id: inner.root,
            parent: None,
            name: "stream",
            start: inner.began.1,
            end: inner.at(now),
            attributes: vec![("scrim.room", Value::Text(inner.room.clone()))],
            error: error.map(ToOwned::to_owned),
        });
    }
}

impl Inner {
    fn at(&self, time: Instant) -> SystemTime {
        self.began.1 + time.saturating_duration_since(self.began.0)
    }

    fn part(
        &self,
        name: &'static str,
        since: Instant,
        now: Instant,
        attributes: Vec<(&'static str, Value)>,
    ) {
        let (start, end) = (self.at(since), self.at(now.max(since)));
        let (trace, id, parent, error) = (self.trace, new_id(), Some(self.root), None);
        self.tracer.take(Span { trace, id, parent, name, start, end, attributes, error });
    }
}

/// Follows one track between forwarding and encoding: a span for each time that it was encoded,
/// sent when forwarding goes on or the track ends.
#[derive(Debug, Default)]
pub struct Splices {
    trace: StreamTrace,
    encoding: Option<Encoding>,
}

#[derive(Clone, Copy, Debug)]
struct Encoding {
    since: Instant,
    last: Instant,
    frames: u64,
}

impl Splices {
    /// Follows a track of the stream.
    pub fn new(trace: StreamTrace) -> Self {
        Self { trace, encoding: None }
    }

    /// A frame left at `now`, encoded or as it came.
    pub fn frame(&mut self, encoded: bool, now: Instant) {
        if self.trace.0.is_none() {
            return;
        }
        if encoded {
            let begun = Encoding { since: now, last: now, frames: 0 };
            let encoding = self.encoding.get_or_insert(begun);
            (encoding.last, encoding.frames) = (now, encoding.frames + 1);
        } else {
            self.over(Some(now));
        }
    }

    fn over(&mut self, now: Option<Instant>) {
        if let (Some(inner), Some(Encoding { since, last, frames })) =
            (&self.trace.0, self.encoding.take())
        {
            let frames = vec![("scrim.frames", Value::Count(frames))];
            inner.part("encode", since, now.unwrap_or(last), frames);
        }
    }
}

impl Drop for Splices {
    fn drop(&mut self) {
        self.over(None);
    }
}

/// Zero is no id.
fn new_id() -> u64 {
    fastrand::u64(1..)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::metrics::counter::Counter;
    use tokio::sync::mpsc::Receiver;

    use super::super::QUEUE;
    use super::*;
    use crate::media::clock;

    const ID: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0001;

    fn on() -> (StreamTrace, Receiver<Span>, Instant, Counter) {
        let (now, dropped) = (clock::now(), Counter::default());
        let (tracer, spans) = Tracer::new(dropped.clone());
        (tracer.stream(ID, "stage", (now, SystemTime::UNIX_EPOCH)), spans, now, dropped)
    }

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    /// Name, begin and end in milliseconds after the stream's start.
    fn told(spans: &mut Receiver<Span>) -> Vec<(&'static str, u128, u128)> {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        std::iter::from_fn(|| spans.try_recv().ok())
            .map(|span| (span.name, since(span.start).as_millis(), since(span.end).as_millis()))
            .collect()
    }

    #[test]
    fn a_stream_is_told_from_its_start_to_its_end() {
        let (trace, mut spans, t0, _) = on();
        for (milestone, at) in [
            (Milestone::Joined, 20),
            (Milestone::Frame, 500),
            (Milestone::Frame, 533),
            (Milestone::Verdict, 560),
            (Milestone::Release, 750),
            (Milestone::Verdict, 800),
        ] {
            trace.reach(milestone, t0 + ms(at));
        }
        trace.end(None, t0 + ms(9_000));
        assert_eq!(
            told(&mut spans),
            [
                ("join", 0, 20),
                ("first frame", 20, 500),
                ("first verdict", 500, 560),
                ("first release", 500, 750),
                ("stream", 0, 9_000),
            ]
        );
    }

    #[test]
    fn parts_belong_to_the_stream_whose_id_is_the_trace() {
        let (trace, mut spans, t0, _) = on();
        trace.reach(Milestone::Joined, t0);
        trace.end(Some("room closed"), t0);
        let (part, whole) = (spans.try_recv().unwrap(), spans.try_recv().unwrap());
        assert_eq!((part.trace, whole.trace, whole.parent), (ID, ID, None));
        assert_eq!(part.parent, Some(whole.id));
        assert_eq!(whole.error.as_deref(), Some("room closed"));
        assert!(part.id != whole.id && part.id != 0);
    }

    #[test]
    fn each_time_of_encoding_is_a_part() {
        let (trace, mut spans, t0, _) = on();
        let mut splices = Splices::new(trace);
        for (encoded, at) in [(false, 0), (true, 40), (true, 80), (false, 120), (true, 200)] {
            splices.frame(encoded, t0 + ms(at));
        }
        assert_eq!(told(&mut spans), [("encode", 40, 120)]);
        splices.frame(true, t0 + ms(240));
        drop(splices);
        let last = spans.try_recv().unwrap();
        assert_eq!(last.attributes, [("scrim.frames", Value::Count(2))]);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let (trace, mut spans, t0, dropped) = on();
        let mut splices = Splices::new(trace);
        for n in 0..QUEUE as u64 + 3 {
            splices.frame(true, t0 + ms(n));
            splices.frame(false, t0 + ms(n));
        }
        assert_eq!((told(&mut spans).len(), dropped.get()), (QUEUE, 3));
    }

    #[test]
    fn without_an_endpoint_nothing_is_made() {
        let trace = Tracer::default().stream(ID, "stage", (clock::now(), SystemTime::UNIX_EPOCH));
        assert!(trace.0.is_none());
        trace.reach(Milestone::Joined, clock::now());
        trace.end(None, clock::now());
    }
}
