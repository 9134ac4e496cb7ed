//! From the columns of a recogniser to characters and where they stand. Pure.
//!
//! Greedy decoding of connectionist temporal classification (Graves and others, 2006): the best
//! class of each column, equal neighbours taken together, "none" left out.

use super::{Glyph, Reading};

/// Why an output cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the recogniser's output holds values that are not numbers")]
pub(super) struct NotFinite;

/// The characters of a model, in the order of its classes after "none".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Charset(Vec<Box<str>>);

impl Charset {
    /// From one character a line, as models keep them in their metadata, and a space after the
    /// last of them when `space`.
    pub(super) fn new(lines: &str, space: bool) -> Self {
        let characters = lines.lines().chain(space.then_some(" "));
        Self(characters.map(Box::from).collect())
    }

    /// Classes of the model: the characters and "none".
    pub(super) fn classes(&self) -> usize {
        self.0.len() + 1
    }

    fn get(&self, class: usize) -> &str {
        class.checked_sub(1).and_then(|index| self.0.get(index)).map_or("", |text| text)
    }
}

/// Columns in a row that say the same.
struct Stretch {
    class: usize,
    score: f32,
    from: usize,
    to: usize,
}

/// Reads one line from `output`: a row of [`Charset::classes`] probabilities for each column, of
/// which `filled` (in columns, more than 0) are line and the rest is padding.
///
/// # Errors
/// When the output holds something that is not a number.
pub(super) fn decode(output: &[f32], charset: &Charset, filled: f32) -> Result<Reading, NotFinite> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut before = 0;
    for (column, scores) in output.chunks_exact(charset.classes()).enumerate() {
        let (class, score) = best(scores)?;
        match stretches.last_mut() {
            Some(last) if class == before && class != 0 => {
                last.score = last.score.max(score);
                last.to = column + 1;
            }
            _ if class != 0 => {
                stretches.push(Stretch { class, score, from: column, to: column + 1 });
            }
            _ => {}
        }
        before = class;
    }
    Ok(reading(&stretches, charset, filled))
}

/// The likeliest class and its probability.
fn best(scores: &[f32]) -> Result<(usize, f32), NotFinite> {
    // Sixteen maxima side by side, which the compiler makes one instruction of.
    let mut lanes = [f32::NEG_INFINITY; 16];
    // What is not a number stays one when it is multiplied by nought and added.
    let mut check = [0.0_f32; 16];
    let chunks = scores.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for ((lane, check), &score) in lanes.iter_mut().zip(&mut check).zip(chunk) {
            *lane = if score > *lane { score } else { *lane };
            *check += score * 0.0;
        }
    }
    let most = lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = check.into_iter().chain(rest.iter().map(|score| score * 0.0)).sum();
    if sum != 0.0 {
        return Err(NotFinite);
    }
    scores.iter().position(|&score| score == most).map(|class| (class, most)).ok_or(NotFinite)
}

/// Puts the boundary of two glyphs halfway between their columns.
fn reading(stretches: &[Stretch], charset: &Charset, filled: f32) -> Reading {
    let share = |columns: f32| (columns / filled).clamp(0.0, 1.0);
    let mut glyphs = Vec::with_capacity(stretches.len());
    let mut start = 0.0;
    for (i, stretch) in stretches.iter().enumerate() {
        let end = match stretches.get(i + 1) {
            Some(next) => share((stretch.to + next.from) as f32 / 2.0),
            None => 1.0,
        };
        let text = charset.get(stretch.class);
        let (count, width) = (text.chars().count().max(1) as f32, end - start);
        for (k, character) in text.chars().enumerate() {
            let at = |k: usize| start + width * (k as f32 / count);
            let end = if k + 1 == count as usize { end } else { at(k + 1) };
            glyphs.push(Glyph { character, score: stretch.score.min(1.0), start: at(k), end });
        }
        start = end;
    }
    let total: f32 = glyphs.iter().map(|glyph| glyph.score).sum();
    let score = if glyphs.is_empty() { 0.0 } else { total / glyphs.len() as f32 };
    Reading { glyphs, score }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One column a character of `line`; `-` is none.
    fn output(line: &str, charset: &str) -> Vec<f32> {
        let classes = charset.len() + 2;
        let mut output = Vec::new();
        for character in line.chars() {
            let class = match character {
                '-' => 0,
                ' ' => classes - 1,
                _ => charset.find(character).unwrap() + 1,
            };
            output.extend((0..classes).map(|i| if i == class { 0.9 } else { 0.01 }));
        }
        output
    }

    fn charset() -> Charset {
        Charset::new("a\nb\nc", true)
    }

    fn spans(reading: &Reading) -> Vec<(char, f32, f32)> {
        reading.glyphs.iter().map(|glyph| (glyph.character, glyph.start, glyph.end)).collect()
    }

    #[test]
    fn repeats_are_one_glyph_unless_none_stands_between() {
        let read = |line| decode(&output(line, "abc"), &charset(), 10.0).unwrap().text();
        assert_eq!(read("-aa-b-b cc"), "abb c");
        assert_eq!(read("----------"), "");
        assert_eq!(read("aabbccaabb"), "abcab");
    }

    #[test]
    fn glyphs_share_the_line_and_padding_counts_for_nothing() {
        let reading = decode(&output("-a--b- c----", "abc"), &charset(), 8.0).unwrap();
        assert_eq!(
            spans(&reading),
            [('a', 0.0, 0.375), ('b', 0.375, 0.6875), (' ', 0.6875, 0.875), ('c', 0.875, 1.0)]
        );
        assert!((reading.score - 0.9).abs() < 1e-6);
        let nothing = decode(&output("----", "abc"), &charset(), 4.0).unwrap();
        assert_eq!((nothing.glyphs.len(), nothing.score), (0, 0.0));
    }

    #[test]
    fn a_class_of_several_characters_is_several_glyphs() {
        let charset = Charset::new("a\nffi", false);
        assert_eq!(charset.classes(), 3);
        let output = [0.1, 0.0, 0.9, 0.9, 0.1, 0.0, 0.0, 0.8, 0.2];
        let reading = decode(&output, &charset, 3.0).unwrap();
        assert_eq!(reading.text(), "ffia");
        let spans = spans(&reading);
        assert_eq!((spans[0].1, spans[2].2, spans[3].1), (0.0, 0.5, 0.5));
    }

    #[test]
    fn an_output_that_is_not_of_numbers_is_refused() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut wrong = output("abc", "abc");
            wrong[6] = bad;
            assert_eq!(decode(&wrong, &charset(), 3.0), Err(NotFinite));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_out_glyphs_are_contiguous_and_inside(
            output in prop::collection::vec(-3f32..3.0, 0..600),
            filled in 0.1f32..200.0,
            characters in 1usize..40,
        ) {
            let lines: Vec<String> = (0..characters).map(|i| char::from(b'A' + i as u8).to_string()).collect();
            let charset = Charset::new(&lines.join("\n"), true);
            let reading = decode(&output, &charset, filled).unwrap();
            let mut at = 0.0;
            for glyph in &reading.glyphs {
                prop_assert_eq!(glyph.start, at);
                prop_assert!(glyph.end >= glyph.start && glyph.end <= 1.0);
                at = glyph.end;
            }
            prop_assert!(reading.glyphs.is_empty() || at == 1.0);
        }

        #[test]
        fn the_best_is_the_first_of_the_largest(scores in prop::collection::vec(-3i8..9, 1..80)) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let most = scores.iter().copied().fold(f32::MIN, f32::max);
            let first = scores.iter().position(|&score| score == most).unwrap();
            prop_assert_eq!(best(&scores), Ok((first, most)));
        }
    }
}
