//! Pixels over a threshold, joined where they touch. Pure; linear in the pixels.
//!
//! Run-length labelling with union-find (Rosenfeld and Pfaltz's two passes, on runs instead of
//! pixels): runs of a row are joined with those of the row above that touch them, corners
//! included, as OpenCV's contours do.

/// Some pixels of one row: `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub y: u32,
    pub from: u32,
    pub to: u32,
}

/// What is marked in a picture, a group at a time.
#[derive(Debug, Default)]
pub(super) struct Groups {
    runs: Vec<Run>,
    parents: Vec<u32>,
    /// Runs in the order of their groups, and where each group ends.
    sorted: Vec<Run>,
    ends: Vec<usize>,
    /// The marks of the row before, and of this one before they were grown.
    above: Vec<u8>,
    row: Vec<u8>,
    grown: Vec<u8>,
}

impl Groups {
    /// Finds the groups of pixels over `threshold` in `map`: rows of `stride` values, the first
    /// `size.0` of each and `size.1` rows count. With `dilate` each pixel marks its right, lower
    /// and lower right neighbour too.
    pub(super) fn find(
        &mut self,
        (map, stride): (&[f32], usize),
        size: (usize, usize),
        threshold: f32,
        dilate: bool,
    ) {
        self.runs.clear();
        self.parents.clear();
        for buffer in [&mut self.above, &mut self.row, &mut self.grown] {
            buffer.clear();
            buffer.resize(size.0, 0);
        }
        let (mut before, mut start) = (0, 0);
        for (y, values) in map.chunks(stride).take(size.1).enumerate() {
            for (mark, value) in self.row.iter_mut().zip(values) {
                *mark = u8::from(*value > threshold);
            }
            self.grow(dilate);
            self.collect(y as u32);
            self.join(before..start, start);
            (before, start) = (start, self.runs.len());
            std::mem::swap(&mut self.above, &mut self.row);
        }
        self.sort();
    }

    /// The runs of each group, by row and column.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[Run]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.sorted[start..end])
    }

    /// The marks of this row and, with `dilate`, what those of it and of the row above grow to.
    fn grow(&mut self, dilate: bool) {
        if !dilate {
            return self.grown.copy_from_slice(&self.row);
        }
        for ((grown, row), above) in self.grown.iter_mut().zip(&self.row).zip(&self.above) {
            *grown = row | above;
        }
        for x in (1..self.grown.len()).rev() {
            self.grown[x] |= self.grown[x - 1];
        }
    }

    /// Appends the runs of `grown`.
    fn collect(&mut self, y: u32) {
        let marks = &self.grown;
        let mut x = 0;
        while let Some(skip) = marks[x..].iter().position(|mark| *mark != 0) {
            let from = x + skip;
            let length = marks[from..].iter().position(|mark| *mark == 0);
            x = length.map_or(marks.len(), |length| from + length);
            self.parents.push(self.runs.len() as u32);
            self.runs.push(Run { y, from: from as u32, to: x as u32 - 1 });
        }
    }

    /// Joins the runs from `start` on with those of the row above that touch them.
    fn join(&mut self, above: std::ops::Range<usize>, start: usize) {
        let mut upper = above.start;
        for lower in start..self.runs.len() {
            let run = self.runs[lower];
            while upper < above.end && self.runs[upper].to + 1 < run.from {
                upper += 1;
            }
            let mut touching = upper;
            while touching < above.end && self.runs[touching].from <= run.to + 1 {
                self.unite(touching, lower);
                touching += 1;
            }
            // The last of them may touch the next run too.
            upper = touching.saturating_sub(1).max(upper);
        }
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a as u32), self.root(b as u32));
        // The root is the first run, so that groups come in the order of their first rows.
        self.parents[a.max(b) as usize] = a.min(b);
    }

    fn root(&mut self, mut run: u32) -> u32 {
        loop {
            let parent = self.parents[run as usize];
            if parent == run {
                return run;
            }
            let next = self.parents[parent as usize];
            self.parents[run as usize] = next;
            run = next;
        }
    }

    /// Brings the runs of each group together: a counting sort by group.
    fn sort(&mut self) {
        let mut numbers = vec![0_u32; self.runs.len()];
        self.ends.clear();
        for run in 0..self.runs.len() {
            let root = self.root(run as u32) as usize;
            if root == run {
                numbers[run] = self.ends.len() as u32;
                self.ends.push(0);
            }
            numbers[run] = numbers[root];
            self.ends[numbers[run] as usize] += 1;
        }
        let mut next: Vec<usize> = Vec::with_capacity(self.ends.len());
        let mut total = 0;
        for end in &mut self.ends {
            next.push(total);
            total += *end;
            *end = total;
        }
        self.sorted.clear();
        self.sorted.resize(total, Run { y: 0, from: 0, to: 0 });
        for (run, number) in self.runs.iter().zip(numbers) {
            let place = &mut next[number as usize];
            self.sorted[*place] = *run;
            *place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn groups(picture: &[&str], dilate: bool) -> Vec<Vec<(u32, u32, u32)>> {
        let width = picture[0].len();
        let map: Vec<f32> = picture
            .iter()
            .flat_map(|row| row.chars().map(|c| f32::from(u8::from(c == '#'))))
            .collect();
        let mut groups = Groups::default();
        groups.find((&map, width), (width, picture.len()), 0.5, dilate);
        groups.iter().map(|runs| runs.iter().map(|r| (r.y, r.from, r.to)).collect()).collect()
    }

    #[test]
    fn what_touches_is_one_group_corners_included() {
        let picture = ["#..#..", "##...#", "...##.", "#....."];
        let expected = vec![
            vec![(0, 0, 0), (1, 0, 1)],
            vec![(0, 3, 3)],
            vec![(1, 5, 5), (2, 3, 4)],
            vec![(3, 0, 0)],
        ];
        assert_eq!(groups(&picture, false), expected);
    }

    #[test]
    fn arms_that_meet_below_are_one_group() {
        let picture = ["#.#.#", "#.#.#", "#####"];
        assert_eq!(groups(&picture, false).len(), 1);
        assert_eq!(groups(&["#.#", "...", "#.#"], false).len(), 4);
    }

    #[test]
    fn dilating_grows_to_the_right_and_down() {
        let expected = vec![vec![(1, 1, 2), (2, 1, 2)]];
        assert_eq!(groups(&["....", ".#..", "....", "...."], true), expected);
        assert_eq!(groups(&["#..#"], true).len(), 2, "two apart stay two");
        assert_eq!(groups(&["#.#"], true).len(), 1);
    }

    /// By flood fill.
    fn count(map: &[bool], width: usize) -> usize {
        let (mut seen, mut groups) = (vec![false; map.len()], 0);
        for start in 0..map.len() {
            if !map[start] || seen[start] {
                continue;
            }
            groups += 1;
            let mut open = vec![start];
            seen[start] = true;
            while let Some(at) = open.pop() {
                let (x, y) = ((at % width) as i64, (at / width) as i64);
                for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
                    let (x, y) = (x + dx, y + dy);
                    if x < 0 || y < 0 || x >= width as i64 {
                        continue;
                    }
                    let to = y as usize * width + x as usize;
                    if to < map.len() && map[to] && !seen[to] {
                        seen[to] = true;
                        open.push(to);
                    }
                }
            }
        }
        groups
    }

    proptest! {
        #[test]
        fn every_pixel_is_in_one_group_and_groups_are_those_of_a_flood_fill(
            width in 1usize..24, marks in prop::collection::vec(any::<bool>(), 1..400)
        ) {
            let marks = &marks[..marks.len() / width * width];
            prop_assume!(!marks.is_empty());
            let map: Vec<f32> = marks.iter().map(|&mark| f32::from(u8::from(mark))).collect();
            let mut groups = Groups::default();
            groups.find((&map, width), (width, marks.len() / width), 0.5, false);
            let mut covered = vec![false; marks.len()];
            for run in groups.iter().flatten() {
                for x in run.from..=run.to {
                    let at = run.y as usize * width + x as usize;
                    prop_assert!(!std::mem::replace(&mut covered[at], true));
                }
            }
            prop_assert_eq!(covered, marks);
            prop_assert_eq!(groups.iter().count(), count(marks, width));
        }
    }
}
