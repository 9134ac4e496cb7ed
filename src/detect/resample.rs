//! One axis of a separable resize of 8-bit planes, written so that the compiler vectorises it.
//!
//! Rows are blended in 16-bit integers: weights sum to 256, or a whole-number box is summed
//! unweighted, so a sum never passes 65 535. Columns are reduced to f32, unrounded.

use crate::media::Plane;

/// Sum of the weights of one output sample when they are not all the same.
const ONE: u16 = 256;

/// Longest run of rows whose plain sum of 8-bit samples fits 16 bits.
const MAX_BOX: usize = 257;

/// For each output sample: which input samples, with which weights.
#[derive(Debug)]
pub(crate) struct Axis {
    /// Input samples to one output sample.
    taps: usize,
    /// First input sample of each output sample; `start + taps` never passes the input's end.
    start: Vec<u32>,
    /// `taps` weights an output sample, sum [`ONE`]. Empty for a box.
    weights: Vec<u16>,
}

impl Axis {
    /// Each of `out` samples is the mean of the `scale` input samples it covers (the last may
    /// cover fewer). Enlarges linearly where `scale` is below 1.
    pub(crate) fn area(len: usize, out: usize, scale: f64) -> Self {
        let whole = scale.round() as usize;
        if (scale - whole as f64).abs() < 1e-9 && whole * out == len && whole <= MAX_BOX {
            let start = (0..out).map(|i| (i * whole) as u32).collect();
            return Self { taps: whole, start, weights: Vec::new() };
        }
        if scale < 1.0 {
            return Self::linear(len, out, scale);
        }
        let taps = (scale.ceil() as usize + 1).min(len);
        Self::from_kernel(len, out, taps, |i| {
            let from = (i as f64 * scale).min(len as f64 - 1.0);
            let to = ((i + 1) as f64 * scale).min(len as f64);
            let first = from.floor();
            let cover = move |k: usize| {
                let x = first + k as f64;
                (to.min(x + 1.0) - from.max(x)).max(0.0)
            };
            (first as usize, (0..taps).map(cover).collect())
        })
    }

    /// Each of `out` samples is interpolated between the two input samples around its centre.
    pub(crate) fn linear(len: usize, out: usize, scale: f64) -> Self {
        let taps = 2.min(len);
        Self::from_kernel(len, out, taps, |i| {
            let at = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, len as f64 - 1.0);
            let part = at - at.floor();
            (at.floor() as usize, [1.0 - part, part][..taps].to_vec())
        })
    }

    /// Builds the tables from each sample's first input and weights, of any sum above 0.
    fn from_kernel(
        len: usize,
        out: usize,
        taps: usize,
        kernel: impl Fn(usize) -> (usize, Vec<f64>),
    ) -> Self {
        let mut axis =
            Self { taps, start: Vec::with_capacity(out), weights: Vec::with_capacity(out * taps) };
        for i in 0..out {
            let (first, weights) = kernel(i);
            // Near the end the window is moved back so that it stays inside.
            let start = first.min(len - taps);
            let shift = first - start;
            let total: f64 = weights.iter().take(taps - shift).sum();
            // Rounding the running sum, not each weight, makes them sum to ONE whatever they are.
            let (mut sum, mut given) = (0.0, 0);
            axis.start.push(start as u32);
            axis.weights.extend((0..taps).map(|k| {
                sum += k.checked_sub(shift).map_or(0.0, |k| weights[k]);
                let whole = (sum / total * f64::from(ONE)).round() as u16;
                let weight = whole - given;
                given = whole;
                weight
            }));
        }
        axis
    }

    /// What a blended or reduced sum is multiplied by to be a sample again.
    pub(crate) fn unit(&self) -> f32 {
        if self.weights.is_empty() { 1.0 / self.taps as f32 } else { 1.0 / f32::from(ONE) }
    }

    /// Blends the rows of `plane` that output row `y` covers into `sums`, one per column.
    pub(crate) fn blend_rows(&self, y: usize, plane: &Plane<'_>, sums: &mut [u16]) {
        let start = self.start[y] as usize;
        let row = |k: usize| plane.row(start + k);
        let mut done = 0;
        while done < self.taps {
            let left = self.taps - done;
            let weight = |k: usize| match self.weights.get(y * self.taps + done + k) {
                Some(&weight) => weight,
                None => 1,
            };
            let add = done > 0;
            done += match left {
                1 => blend([row(done)], [weight(0)], add, sums),
                2 => blend([row(done), row(done + 1)], [weight(0), weight(1)], add, sums),
                3 => blend(
                    [row(done), row(done + 1), row(done + 2)],
                    [weight(0), weight(1), weight(2)],
                    add,
                    sums,
                ),
                _ => blend(
                    [row(done), row(done + 1), row(done + 2), row(done + 3)],
                    [weight(0), weight(1), weight(2), weight(3)],
                    add,
                    sums,
                ),
            };
        }
    }

    /// Reduces a row of sums to one sample per output; `unit` is the rows' own.
    pub(crate) fn reduce(&self, sums: &[u16], unit: f32, out: &mut [f32]) {
        let unit = unit * self.unit();
        if self.weights.is_empty() {
            return match self.taps {
                1 => reduce_box::<1>(sums, unit, out),
                2 => reduce_box::<2>(sums, unit, out),
                3 => reduce_box::<3>(sums, unit, out),
                4 => reduce_box::<4>(sums, unit, out),
                6 => reduce_box::<6>(sums, unit, out),
                taps => {
                    for (out, sums) in out.iter_mut().zip(sums.chunks_exact(taps)) {
                        *out = sums.iter().map(|&v| u32::from(v)).sum::<u32>() as f32 * unit;
                    }
                }
            };
        }
        match self.taps {
            2 => self.reduce_weighted::<2>(sums, unit, out),
            3 => self.reduce_weighted::<3>(sums, unit, out),
            4 => self.reduce_weighted::<4>(sums, unit, out),
            5 => self.reduce_weighted::<5>(sums, unit, out),
            6 => self.reduce_weighted::<6>(sums, unit, out),
            7 => self.reduce_weighted::<7>(sums, unit, out),
            taps => {
                let tables = self.start.iter().zip(self.weights.chunks_exact(taps));
                for (out, (&start, weights)) in out.iter_mut().zip(tables) {
                    *out = dot(&sums[start as usize..start as usize + taps], weights) * unit;
                }
            }
        }
    }

    fn reduce_weighted<const TAPS: usize>(&self, sums: &[u16], unit: f32, out: &mut [f32]) {
        let (weights, _) = self.weights.as_chunks::<TAPS>();
        for ((out, &start), weights) in out.iter_mut().zip(&self.start).zip(weights) {
            *out = dot(&sums[start as usize..start as usize + TAPS], weights) * unit;
        }
    }
}

/// At most 65 280 × 256: fits 32 bits.
fn dot(sums: &[u16], weights: &[u16]) -> f32 {
    let products = sums.iter().zip(weights).map(|(&a, &b)| u32::from(a) * u32::from(b));
    products.sum::<u32>() as f32
}

fn reduce_box<const TAPS: usize>(sums: &[u16], unit: f32, out: &mut [f32]) {
    let (chunks, _) = sums.as_chunks::<TAPS>();
    for (out, chunk) in out.iter_mut().zip(chunks) {
        // As i32: SSE2 converts signed integers in one instruction, unsigned in eight.
        let sum: i32 = chunk.iter().map(|&value| i32::from(value)).sum();
        *out = sum as f32 * unit;
    }
}

/// Adds N weighted rows to `sums`, or starts them; returns N.
fn blend<const N: usize>(
    rows: [&[u8]; N],
    weights: [u16; N],
    add: bool,
    sums: &mut [u16],
) -> usize {
    let len = sums.len();
    let rows = rows.map(|row| &row[..len]);
    if weights == [1; N] {
        if add {
            for (x, sum) in sums.iter_mut().enumerate() {
                *sum += rows.iter().map(|row| u16::from(row[x])).sum::<u16>();
            }
        } else {
            for (x, sum) in sums.iter_mut().enumerate() {
                *sum = rows.iter().map(|row| u16::from(row[x])).sum::<u16>();
            }
        }
        return N;
    }
    for (x, sum) in sums.iter_mut().enumerate() {
        let mut value = if add { *sum } else { 0 };
        for k in 0..N {
            value += u16::from(rows[k][x]) * weights[k];
        }
        *sum = value;
    }
    N
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resize(axis: &Axis, row: &[u8]) -> Vec<f32> {
        let sums: Vec<u16> = row.iter().map(|&value| u16::from(value)).collect();
        let mut out = vec![0.0; axis.start.len()];
        axis.reduce(&sums, 1.0, &mut out);
        out
    }

    #[test]
    fn a_whole_ratio_is_a_box() {
        let axis = Axis::area(8, 2, 4.0);
        assert!(axis.weights.is_empty());
        assert_eq!(resize(&axis, &[0, 0, 0, 4, 10, 20, 30, 40]), [1.0, 25.0]);
    }

    #[test]
    fn a_broken_ratio_weighs_what_it_covers() {
        let axis = Axis::area(6, 4, 1.5);
        assert_eq!(resize(&axis, &[30, 60, 90, 30, 60, 90]).map_or_round(), [40, 80, 40, 80]);
    }

    trait Rounded {
        fn map_or_round(self) -> Vec<i32>;
    }

    impl Rounded for Vec<f32> {
        fn map_or_round(self) -> Vec<i32> {
            self.into_iter().map(|value| value.round() as i32).collect()
        }
    }

    #[test]
    fn linear_takes_the_two_around_the_centre() {
        let axis = Axis::linear(8, 2, 4.0);
        assert_eq!(resize(&axis, &[0, 10, 20, 0, 0, 30, 50, 0]), [15.0, 40.0]);
        let axis = Axis::linear(2, 4, 0.5);
        assert_eq!(resize(&axis, &[0, 100]), [0.0, 25.0, 75.0, 100.0]);
    }

    proptest! {
        #[test]
        fn tables_stay_inside_and_keep_flat_rows_flat(
            len in 1usize..2000, out in 1usize..400, linear in any::<bool>()
        ) {
            let scale = len as f64 / out as f64;
            let axis =
                if linear { Axis::linear(len, out, scale) } else { Axis::area(len, out, scale) };
            for &start in &axis.start {
                prop_assert!(start as usize + axis.taps <= len);
            }
            for weights in axis.weights.chunks_exact(axis.taps) {
                prop_assert_eq!(weights.iter().sum::<u16>(), ONE);
            }
            for value in resize(&axis, &vec![255; len]) {
                prop_assert!((value - 255.0).abs() < 1e-3);
            }
        }

        #[test]
        fn rows_and_columns_agree(
            values in prop::collection::vec(any::<u8>(), 2..300), out in 1usize..80
        ) {
            let axis = Axis::area(values.len(), out, values.len() as f64 / out as f64);
            let across = resize(&axis, &values);
            let plane = Plane { data: &values, stride: 1, width: 1, height: values.len() };
            for (y, across) in across.iter().enumerate() {
                let mut sums = [0];
                axis.blend_rows(y, &plane, &mut sums);
                prop_assert!((f32::from(sums[0]) * axis.unit() - across).abs() < 1e-3);
            }
        }
    }
}
