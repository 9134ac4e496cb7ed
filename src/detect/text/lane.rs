//! The two text models behind one [`Reader`].

use std::sync::Arc;

use super::{Area, Crop, Find, FindRequest, Quad, Read, ReadRequest, Reader};
use crate::detect::batcher::Ticket;
use crate::detect::reply::{Job, Reply};
use crate::detect::worker::Pool;
use crate::detect::{Answer, Failure, Need, Task};
use crate::media::{Picture, Rect, clock};

/// The queues and workers of the line finder and the line reader.
pub(in crate::detect) struct Lane {
    pub find: Arc<Pool<Find>>,
    pub read: Arc<Pool<Read>>,
}

/// What both requests say about how urgent they are.
struct Urgency {
    stream: u64,
    deadline: std::time::Instant,
    need: Need,
}

impl Reader for Lane {
    fn find(&self, request: FindRequest) {
        let FindRequest { stream, picture, area, scale, deadline, need, reply } = request;
        if !(scale.is_finite() && scale > 0.0) {
            return reply(Err(Failure::Failed(format!("scale must be over 0, not {scale}"))));
        }
        let Some(area) = part(&picture, &area) else {
            // No pixel of the picture is in it.
            return reply(Ok(Vec::new()));
        };
        let input = Area { picture, rect: area, scale };
        submit(&self.find, input, Urgency { stream, deadline, need }, reply);
    }

    fn read(&self, request: ReadRequest) {
        let ReadRequest { stream, picture, quad, deadline, need, reply } = request;
        if let Some(problem) = problem(&quad) {
            return reply(Err(Failure::Failed(problem.to_owned())));
        }
        let input = Crop { picture, quad };
        submit(&self.read, input, Urgency { stream, deadline, need }, reply);
    }
}

fn submit<T: Task>(
    pool: &Pool<T>,
    input: T::Input,
    urgency: Urgency,
    reply: Box<dyn FnOnce(Result<T::Output, Failure>) + Send>,
) {
    let now = clock::now();
    let Urgency { stream, deadline, need } = urgency;
    let bucket = pool.model.bucket(&input);
    let ticket = Ticket { stream, deadline, need, bucket, queued: now, ready: now };
    let reply = Reply::new(Box::new(move |answer: Answer<T::Output>| reply(answer.result)));
    pool.submit(ticket, Job { input, reply, probe: false, retried: false });
}

/// The pixels that `area` touches, from even ones on because chroma has half as many. `None`
/// when there are none.
fn part(picture: &Picture, area: &Rect) -> Option<Rect> {
    let span = |from: f32, to: f32, len: u32| {
        // What is not a number looks at everything rather than at nothing.
        let from = if from.is_nan() { 0.0 } else { from.clamp(0.0, len as f32) };
        let to = if to.is_nan() { len as f32 } else { to.clamp(0.0, len as f32) };
        let even = (from / 2.0).floor() * 2.0;
        let end = ((to / 2.0).ceil() * 2.0).min(len as f32);
        (to > from).then_some((even, end - even))
    };
    let (x, w) = span(area.x, area.right(), picture.width())?;
    let (y, h) = span(area.y, area.bottom(), picture.height())?;
    Some(Rect::new(x, y, w, h))
}

/// Why a quad cannot be read.
fn problem(quad: &Quad) -> Option<&'static str> {
    if !quad.0.iter().all(|point| point.x.is_finite() && point.y.is_finite()) {
        return Some("the line's corners must be numbers");
    }
    let (width, height) = quad.size();
    if width < 1.0 || height < 1.0 {
        return Some("the line must be at least one pixel long and high");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_grown_to_even_pixels_and_cut_to_the_picture() {
        let picture = Picture::new(101, 60);
        let part = |x, y, w, h| part(&picture, &Rect::new(x, y, w, h));
        assert_eq!(part(0.0, 0.0, 101.0, 60.0), Some(Rect::new(0.0, 0.0, 101.0, 60.0)));
        assert_eq!(part(11.3, 5.0, 4.0, 4.0), Some(Rect::new(10.0, 4.0, 6.0, 6.0)));
        assert_eq!(part(-50.0, 50.0, 500.0, 500.0), Some(Rect::new(0.0, 50.0, 101.0, 10.0)));
        assert_eq!(part(f32::NAN, 0.0, 5.0, 60.0), Some(Rect::new(0.0, 0.0, 101.0, 60.0)));
        assert_eq!(part(200.0, 0.0, 5.0, 5.0), None);
        assert_eq!(part(10.0, 10.0, 0.0, 5.0), None);
    }

    #[test]
    fn quads_without_extent_or_numbers_are_refused() {
        let quad = |x: f32, y: f32, w: f32, h: f32| Quad::from(Rect::new(x, y, w, h));
        assert_eq!(problem(&quad(1.0, 1.0, 20.0, 10.0)), None);
        assert!(problem(&quad(1.0, 1.0, 20.0, 0.5)).is_some_and(|text| text.contains("one pixel")));
        assert!(
            problem(&quad(f32::NAN, 1.0, 9.0, 9.0)).is_some_and(|text| text.contains("numbers"))
        );
    }
}
