//! Which picture of the clip some bytes are. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::clip::Clip;

/// Finds pictures by their content, without a hash of all their bytes: their length and their
/// last bytes, which entropy coding makes as good as random, leave one candidate or few, and
/// those are compared whole.
#[derive(Debug)]
pub(super) struct Index {
    clip: Arc<Clip>,
    by_key: HashMap<Key, Vec<usize>>,
}

type Key = (usize, [u8; 8]);

impl Index {
    /// The pictures of `clip`.
    pub(super) fn new(clip: Arc<Clip>) -> Self {
        let mut by_key: HashMap<Key, Vec<usize>> = HashMap::new();
        for (index, frame) in clip.frames.iter().enumerate() {
            by_key.entry(key(&frame.data)).or_default().push(index);
        }
        Self { clip, by_key }
    }

    /// The clip.
    pub(super) fn clip(&self) -> &Clip {
        &self.clip
    }

    /// Every picture that is `data`, bit for bit: more than one where the clip repeats itself.
    pub(super) fn find(&self, data: &[u8]) -> impl Iterator<Item = usize> {
        let candidates = self.by_key.get(&key(data)).into_iter().flatten().copied();
        candidates.filter(move |index| *self.clip.frames[*index].data == *data)
    }
}

fn key(data: &[u8]) -> Key {
    let mut tail = [0; 8];
    let from = data.len().saturating_sub(tail.len());
    for (to, byte) in tail.iter_mut().zip(&data[from..]) {
        *to = *byte;
    }
    (data.len(), tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::clip;

    #[test]
    fn finds_each_and_tells_apart_what_only_looks_alike() {
        let clip = Arc::new(clip(&[&[7; 20], &[8; 20], &[7; 20]]));
        let index = Index::new(Arc::clone(&clip));
        assert_eq!(index.find(&[7; 20]).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(index.find(&[8; 20]).collect::<Vec<_>>(), [1]);
        let mut alike = [7; 20];
        alike[3] = 0;
        assert_eq!(index.find(&alike).count(), 0);
        assert_eq!(index.find(&[7; 19]).count(), 0);
        assert_eq!(index.find(&[]).count(), 0);
    }
}
