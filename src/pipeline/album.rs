//! Which frame becomes the thumbnail of which detection. Pure.
//!
//! A detection is told of with the best finding of a second, often after that frame has left; and a
//! frame's covering is only decided when it leaves. So each finding that is the best of its class
//! so far is drawn when its frame leaves, covered as that frame was, and its thumbnail waits for
//! the detection. Pictures themselves are never kept, but for [`SHOWN`] of them in instant mode, in
//! which frames leave before they are looked at.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::guard::Verdict;
use super::{Links, Spec};
use crate::censor::{Mode, Policy, Region};
use crate::detect::Finding;
use crate::media::Picture;
use crate::store::Thumbnail;
use crate::thumbnail::{Draft, Order, Scene, Service};
use crate::track::is_text;

/// Findings whose frames are awaited; further ones get no thumbnail.
const PAGES: usize = 64;
/// In instant mode: frames that left before their answer came. The oldest go.
const SHOWN: usize = 3;
/// Frames that were asked about and have not left. The oldest are forgotten.
const ASKED: usize = 64;

/// The best finding of a class that nobody was told of, or one whose frame is awaited.
#[derive(Debug)]
struct Page {
    finding: Finding,
    frame: u64,
    /// All that was found in that frame, to be covered whatever its verdict says.
    also: Arc<[Region]>,
    /// Once it is ordered.
    draft: Option<Draft>,
    /// The detection, once it was told of.
    told: Option<Uuid>,
}

/// A frame as it left.
#[derive(Debug)]
struct Shown {
    frame: u64,
    picture: Arc<Picture>,
    covered: Vec<Region>,
}

/// The thumbnails of one track.
#[derive(Debug)]
struct Album {
    stream: Uuid,
    room: String,
    pages: Vec<Page>,
    asked: VecDeque<u64>,
    shown: VecDeque<Shown>,
}

impl Album {
    fn new(stream: Uuid, room: String) -> Self {
        let (pages, asked, shown) = (Vec::new(), VecDeque::new(), VecDeque::new());
        Self { stream, room, pages, asked, shown }
    }

    /// A frame is being looked at.
    fn asked(&mut self, frame: u64) {
        if self.asked.len() >= ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(frame);
    }

    /// Takes a finding that the rules cover, before it is known whether anybody is told of it.
    /// `also` is all that is covered because of what was found in that frame.
    fn found(&mut self, finding: &Finding, frame: u64, also: &Arc<[Region]>) -> Option<Order> {
        let same = |page: &Page| page.told.is_none() && page.finding.class == finding.class;
        if let Some(known) = self.pages.iter().position(same) {
            if finding.score <= self.pages[known].finding.score {
                return None;
            }
            self.pages.swap_remove(known);
        }
        if self.pages.len() >= PAGES {
            return None;
        }
        let (finding, also) = (finding.clone(), also.clone());
        let mut page = Page { finding, frame, also, draft: None, told: None };
        let shown = self.shown.iter().find(|shown| shown.frame == frame);
        let order = shown.map(|shown| page.draw(&shown.picture, &shown.covered));
        self.pages.push(page);
        order
    }

    /// The best finding of `class` was told of as this detection; it stood in `frame`.
    fn told(&mut self, class: &str, frame: u64, detection: Uuid) -> Option<Order> {
        let same = |page: &Page| page.told.is_none() && &*page.finding.class == class;
        let at = self.pages.iter().position(same)?;
        if self.pages[at].frame != frame {
            self.pages.swap_remove(at);
            return None;
        }
        self.pages[at].told = Some(detection);
        self.pages[at].draft.is_some().then(|| self.file(at))
    }

    /// A frame leaves as `verdict`; what is to be drawn and told of now.
    fn released(
        &mut self,
        frame: u64,
        picture: &Arc<Picture>,
        verdict: &Verdict,
        mode: Mode,
    ) -> Vec<Order> {
        let asked = self.asked.iter().position(|asked| *asked == frame);
        self.asked.retain(|asked| *asked > frame);
        let covered: Option<&[Region]> = match verdict {
            Verdict::Regions(regions) => Some(regions),
            // It left before anything was found in it, and is covered by what was found since.
            Verdict::Clean if mode == Mode::Instant => Some(&[]),
            Verdict::Clean | Verdict::Covered(_) | Verdict::Frozen(_) | Verdict::Passed(_) => None,
        };
        let mut orders = Vec::new();
        if let Some(covered) = covered {
            for page in self.pages.iter_mut().filter(|page| page.frame == frame) {
                orders.push(page.draw(picture, covered));
            }
        }
        // What has left without a picture gets none.
        self.pages.retain(|page| page.frame > frame || page.draft.is_some());
        while let Some(at) = self.pages.iter().position(|p| p.told.is_some() && p.draft.is_some()) {
            orders.push(self.file(at));
        }
        self.keep(frame, picture, covered.filter(|_| asked.is_some() && mode == Mode::Instant));
        orders
    }

    fn keep(&mut self, frame: u64, picture: &Arc<Picture>, covered: Option<&[Region]>) {
        let Some(covered) = covered else { return };
        if self.shown.len() >= SHOWN {
            self.shown.pop_front();
        }
        let (picture, covered) = (picture.clone(), covered.to_vec());
        self.shown.push_back(Shown { frame, picture, covered });
    }

    /// Takes a page that is drawn and told of.
    fn file(&mut self, at: usize) -> Order {
        let page = self.pages.swap_remove(at);
        let of = Thumbnail {
            detection_id: page.told.unwrap_or_default(),
            stream_id: self.stream,
            room: self.room.clone(),
            jpeg: Arc::default(),
        };
        Order::File { draft: page.draft.unwrap_or_default(), of }
    }
}

impl Page {
    fn draw(&mut self, picture: &Arc<Picture>, covered: &[Region]) -> Order {
        let covered = covered.iter().chain(&*self.also).copied().collect();
        let scene = Scene { picture: picture.clone(), covered, focus: self.finding.rect };
        let draft = self.draft.insert(Draft::default()).clone();
        Order::Draw { scene, draft }
    }
}

/// The thumbnails of one track, while its rules want them, and who draws them. Does nothing
/// otherwise.
#[derive(Debug)]
pub(super) struct Pictures {
    service: Option<Service>,
    album: Option<Album>,
    stream: Uuid,
    room: String,
}

impl Pictures {
    pub(super) fn new(spec: &Spec, links: &Links, policy: &Policy) -> Self {
        let (stream, room) = (spec.stream, spec.room.clone());
        let mut made = Self { service: links.thumbnails.clone(), album: None, stream, room };
        made.set_policy(policy);
        made
    }

    /// Takes new rules.
    pub(super) fn set_policy(&mut self, policy: &Policy) {
        let wanted = policy.thumbnails && self.service.is_some();
        if wanted != self.album.is_some() {
            self.album = wanted.then(|| Album::new(self.stream, self.room.clone()));
        }
    }

    /// See [`Album::asked`].
    pub(super) fn asked(&mut self, frame: u64) {
        if let Some(album) = &mut self.album {
            album.asked(frame);
        }
    }

    /// What the findings of one frame are covered with, for [`Self::found`].
    pub(super) fn covers<'a>(
        &self,
        findings: impl Iterator<Item = &'a Finding>,
        policy: &Policy,
    ) -> Arc<[Region]> {
        match self.album {
            Some(_) => regions(findings, policy),
            None => Arc::default(),
        }
    }

    /// See [`Album::found`].
    pub(super) fn found(&mut self, finding: &Finding, frame: u64, also: &Arc<[Region]>) {
        let order = self.album.as_mut().and_then(|album| album.found(finding, frame, also));
        self.order(order);
    }

    /// See [`Album::told`].
    pub(super) fn told(&mut self, class: &str, frame: u64, detection: Uuid) {
        let order = self.album.as_mut().and_then(|album| album.told(class, frame, detection));
        self.order(order);
    }

    /// See [`Album::released`].
    pub(super) fn released(
        &mut self,
        frame: u64,
        picture: &Arc<Picture>,
        verdict: &Verdict,
        mode: Mode,
    ) {
        let Some(album) = &mut self.album else { return };
        let orders = album.released(frame, picture, verdict, mode);
        self.order(orders);
    }

    fn order(&self, orders: impl IntoIterator<Item = Order>) {
        for order in orders {
            if let Some(service) = &self.service {
                service.order(order);
            }
        }
    }
}

/// What findings of one frame are covered with: their own places with the rules' padding.
fn regions<'a>(findings: impl Iterator<Item = &'a Finding>, policy: &Policy) -> Arc<[Region]> {
    let region = |finding: &Finding| {
        let action = match &policy.text {
            Some(text) if is_text(&finding.class) => text.action,
            _ => policy.classes.get(&*finding.class)?.1,
        };
        let rect = finding.rect;
        let rect = rect.grow(policy.padding * rect.w, policy.padding * rect.h);
        Some(Region { rect, action })
    };
    findings.filter_map(region).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::guard::Reason;
    use super::*;
    use crate::censor::Action;
    use crate::media::Rect;

    fn album() -> Album {
        Album::new(Uuid::nil(), "stage".into())
    }

    fn face(score: f32) -> Finding {
        Finding { class: "FACE".into(), score, rect: Rect::new(10.0, 10.0, 20.0, 20.0) }
    }

    fn blur(x: f32) -> Region {
        Region { rect: Rect::new(x, 0.0, 20.0, 20.0), action: Action::Blur }
    }

    fn picture() -> Arc<Picture> {
        Arc::new(Picture::new(64, 48))
    }

    fn verified(album: &mut Album, frame: u64, verdict: &Verdict) -> Vec<Order> {
        album.released(frame, &picture(), verdict, Mode::Verified)
    }

    /// What an order draws is covered by, or of which detection it tells.
    fn said(order: &Order) -> Result<&[Region], Uuid> {
        match order {
            Order::Draw { scene, .. } => Ok(&scene.covered),
            Order::File { of, .. } => Err(of.detection_id),
        }
    }

    #[test]
    fn a_detection_told_before_its_frame_leaves_gets_it_when_it_does() {
        let (mut album, id) = (album(), Uuid::now_v7());
        let also: Arc<[Region]> = [blur(7.0)].into();
        assert!(album.found(&face(0.5), 4, &also).is_none());
        assert!(album.told("FACE", 4, id).is_none());
        assert!(verified(&mut album, 3, &Verdict::Regions(vec![blur(1.0)])).is_empty());
        let orders = verified(&mut album, 4, &Verdict::Regions(vec![blur(2.0)]));
        assert_eq!(
            orders.iter().map(said).collect::<Vec<_>>(),
            [Ok(&[blur(2.0), blur(7.0)][..]), Err(id)]
        );
        assert!(album.pages.is_empty());
    }

    #[test]
    fn the_best_of_a_second_is_drawn_as_it_leaves_and_told_of_later() {
        let (mut album, id) = (album(), Uuid::now_v7());
        let also: Arc<[Region]> = [blur(7.0)].into();
        let covered = Verdict::Regions(vec![blur(2.0)]);
        for (frame, score) in [(1, 0.5), (2, 0.9), (3, 0.7)] {
            album.found(&face(score), frame, &also);
            let drawn = verified(&mut album, frame, &covered).len();
            assert_eq!(drawn, usize::from(score != 0.7), "frame {frame}");
        }
        let filed = album.told("FACE", 2, id);
        assert_eq!(filed.as_ref().map(said), Some(Err(id)));
        assert!(album.told("FACE", 2, id).is_none(), "once");
    }

    #[test]
    fn what_was_not_covered_by_regions_has_no_picture() {
        for verdict in [
            Verdict::Clean,
            Verdict::Covered(Reason::Operator),
            Verdict::Frozen(Reason::Late),
            Verdict::Passed(Reason::Failed),
        ] {
            let mut album = album();
            album.found(&face(0.5), 1, &[blur(7.0)].into());
            assert!(verified(&mut album, 1, &verdict).is_empty(), "{verdict:?}");
            assert!(album.told("FACE", 1, Uuid::now_v7()).is_none(), "{verdict:?}");
        }
    }

    #[test]
    fn in_instant_mode_a_frame_that_has_left_is_drawn_with_what_was_found_in_it() {
        let mut album = album();
        for frame in 0..9 {
            album.asked(frame);
            let orders = album.released(frame, &picture(), &Verdict::Clean, Mode::Instant);
            assert!(orders.is_empty());
        }
        assert_eq!(album.shown.len(), SHOWN);
        assert!(album.found(&face(0.4), 2, &[blur(7.0)].into()).is_none(), "long gone");
        let order = album.found(&face(0.5), 8, &[blur(7.0)].into());
        assert_eq!(order.as_ref().map(said), Some(Ok(&[blur(7.0)][..])));
        let id = Uuid::now_v7();
        assert_eq!(album.told("FACE", 8, id).as_ref().map(said), Some(Err(id)));
    }

    proptest! {
        /// Whatever comes in whatever order: each detection is told of at most once, by a thumbnail
        /// of its own frame that was ordered before, with its own place covered; nothing piles up.
        #[test]
        fn a_thumbnail_shows_its_own_frame_covered(
            steps in prop::collection::vec((0u8..4, 0u64..12, 0.0f32..1.0, 0usize..3), 1..200)
        ) {
            let (mut album, mut next) = (album(), 0);
            let (mut drawn, mut of) = (HashMap::new(), HashMap::new());
            for (what, ahead, score, class) in steps {
                let class = ["A", "B", "C"][class];
                let mut orders = Vec::new();
                let frame = next + ahead;
                match what {
                    0 => {
                        let rect = Rect::new(frame as f32, 0.0, 9.0, 9.0);
                        let own = Region { rect, action: Action::Solid };
                        let finding = Finding { class: class.into(), score, rect };
                        orders.extend(album.found(&finding, frame, &[own].into()));
                    }
                    1 => {
                        let best = album.pages.iter().find(|p| p.told.is_none() && &*p.finding.class == class);
                        let frame = best.map_or(frame, |page| page.frame);
                        let id = Uuid::now_v7();
                        of.insert(id, frame);
                        orders.extend(album.told(class, frame, id));
                    }
                    _ => {
                        let verdict = if what == 2 { Verdict::Regions(Vec::new()) } else { Verdict::Clean };
                        orders = verified(&mut album, next, &verdict);
                        next += 1;
                    }
                }
                for order in orders {
                    match order {
                        Order::Draw { scene, draft } => {
                            prop_assert_eq!(scene.covered[0].rect, scene.focus);
                            drawn.insert(Arc::as_ptr(&draft), (scene.focus.x as u64, draft));
                        }
                        Order::File { draft, of: thumbnail } => {
                            let frame = of.remove(&thumbnail.detection_id);
                            let drawn = drawn.get(&Arc::as_ptr(&draft)).map(|(frame, _)| *frame);
                            prop_assert!(frame.is_some() && frame == drawn);
                        }
                    }
                }
                prop_assert!(album.pages.len() <= PAGES && album.shown.is_empty());
            }
        }
    }
}
