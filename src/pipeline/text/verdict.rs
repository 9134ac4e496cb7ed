//! What of the known text is covered: lines in reading order before the judge, hits back onto the
//! picture. Pure.

use std::ops::Range;
use std::sync::Arc;

use super::geometry::{bounds, height, length, part};
use super::lines::{Line, Lines, VAGUE};
use super::stage::CutWord;
use crate::media::Rect;

/// By how much of the line's height a word's part reaches beyond its letters: the alignment of a
/// reading is good to about half a letter.
const SLACK: f32 = 0.3;
/// Lines of one block of text: apart by up to this many heights, below and beside each other.
const BELOW: f32 = 1.0;
const BESIDE: f32 = 1.5;
/// Most that the heights of two lines of one block differ, as a ratio.
const SIZES: f32 = 2.0;

/// Something in a frame that is covered for its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Where, in pixels of the picture.
    pub rect: Rect,
    /// The rule that forbids it; `None`: nobody has read it yet.
    pub rule: Option<Arc<str>>,
}

/// A hit in the lines that were judged together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    /// Which line.
    pub line: usize,
    /// Which characters of it.
    pub range: Range<usize>,
    /// The rule's word.
    pub rule: Arc<str>,
}

/// What `judge` finds in the lines. `whole`: a hit covers its whole line.
pub(super) fn forbidden(
    lines: &Lines,
    judge: &dyn Fn(&[&str]) -> Vec<Hit>,
    whole: bool,
) -> Vec<Found> {
    let mut found = Vec::new();
    for block in blocks(lines.iter().filter(|line| line.reading.is_some()).collect()) {
        let texts: Vec<String> = block.iter().map(|line| text(line)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for hit in judge(&texts) {
            let Some(line) = block.get(hit.line) else { continue };
            found.push(Found { rect: place(line, &hit.range, whole), rule: Some(hit.rule) });
        }
    }
    found
}

/// The parts of known lines that `judge` takes for a piece of a forbidden word, the rest of which
/// lies outside of the picture. `whole`: the whole line.
pub(super) fn cut_words(lines: &Lines, judge: &CutWord, whole: bool) -> Vec<Rect> {
    let mut parts = Vec::new();
    for line in lines.iter().filter(|line| line.known) {
        let ends = [(line.starts_outside, false), (line.ends_outside, true)];
        for (_, end) in ends.into_iter().filter(|(outside, _)| *outside) {
            parts.extend(judge(&text(line), end).map(|range| place(line, &range, whole)));
        }
    }
    parts
}

fn text(line: &Line) -> String {
    line.reading.iter().flat_map(|reading| &reading.glyphs).map(|glyph| glyph.character).collect()
}

/// The part of a line that some of its characters take; all of it where that is not sure.
fn place(line: &Line, range: &Range<usize>, whole: bool) -> Rect {
    let all = bounds(&line.quad);
    let Some(reading) = line.reading.as_ref().filter(|r| !whole && r.score >= VAGUE) else {
        return all;
    };
    let Some(glyphs) = reading.glyphs.get(range.clone()) else { return all };
    let (Some(first), Some(last)) = (glyphs.first(), glyphs.last()) else { return all };
    if !(0.0..last.end).contains(&first.start) || last.end > 1.001 {
        return all;
    }
    let slack = SLACK * height(&line.quad) / length(&line.quad).max(1.0);
    bounds(&part(&line.quad, (first.start - slack).max(0.0), (last.end + slack).min(1.0)))
}

/// The lines that stand together, each block in reading order.
fn blocks(lines: Vec<&Line>) -> Vec<Vec<&Line>> {
    let mut left = lines;
    let mut blocks = Vec::new();
    while let Some(first) = left.pop() {
        let mut block = vec![first];
        let mut at = 0;
        while at < block.len() {
            let (near, far) = left.into_iter().partition(|line| are_neighbours(block[at], line));
            let near: Vec<&Line> = near;
            block.extend(near);
            left = far;
            at += 1;
        }
        blocks.push(in_order(block));
    }
    blocks
}

fn are_neighbours(a: &Line, b: &Line) -> bool {
    let (small, large) = {
        let (a, b) = (height(&a.quad), height(&b.quad));
        (a.min(b), a.max(b))
    };
    let (a, b) = (bounds(&a.quad), bounds(&b.quad));
    let beside = a.x.max(b.x) - a.right().min(b.right());
    let below = a.y.max(b.y) - a.bottom().min(b.bottom());
    large <= SIZES * small && beside <= BESIDE * large && below <= BELOW * small
}

/// Rows from the top, each from the left.
fn in_order(mut block: Vec<&Line>) -> Vec<&Line> {
    let middle = |line: &Line| bounds(&line.quad).centre().1;
    block.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
    let mut ordered: Vec<&Line> = Vec::with_capacity(block.len());
    let mut row: Vec<&Line> = Vec::new();
    let left = |line: &Line| bounds(&line.quad).x;
    for line in block {
        let apart = row.first().is_some_and(|first| {
            middle(line) - middle(first) > height(&first.quad).min(height(&line.quad)) / 2.0
        });
        if apart {
            row.sort_by(|a, b| left(a).total_cmp(&left(b)));
            ordered.append(&mut row);
        }
        row.push(line);
    }
    row.sort_by(|a, b| left(a).total_cmp(&left(b)));
    ordered.append(&mut row);
    ordered
}
