//! Areas of four-cornered shapes and of what two of them share.

/// Corners in order, either way round.
pub(crate) type Polygon = [(f32, f32); 4];

/// The area inside corners in order; negative when they run the other way round.
fn signed(corners: &[(f32, f32)]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    corners.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f32>() / 2.0
}

/// The area of a shape.
pub(crate) fn area(shape: &Polygon) -> f32 {
    signed(shape).abs()
}

/// The area that two convex shapes share (Sutherland and Hodgman's clipping).
pub(crate) fn common(a: &Polygon, b: &Polygon) -> f32 {
    let mut inside = a.to_vec();
    let sign = signed(b).signum();
    for i in 0..4 {
        let (from, to) = (b[i], b[(i + 1) % 4]);
        let side = |p: (f32, f32)| {
            sign * ((to.0 - from.0) * (p.1 - from.1) - (to.1 - from.1) * (p.0 - from.0))
        };
        let mut kept = Vec::new();
        for k in 0..inside.len() {
            let (p, q) = (inside[k], inside[(k + 1) % inside.len()]);
            let (at_p, at_q) = (side(p), side(q));
            if at_p >= 0.0 {
                kept.push(p);
            }
            if (at_p >= 0.0) != (at_q >= 0.0) {
                let t = at_p / (at_p - at_q);
                kept.push((p.0 + (q.0 - p.0) * t, p.1 + (q.1 - p.1) * t));
            }
        }
        inside = kept;
    }
    signed(&inside).abs()
}

/// Intersection over union, 0 to 1.
pub(crate) fn iou(a: &Polygon, b: &Polygon) -> f32 {
    let common = common(a, b);
    let all = area(a) + area(b) - common;
    if all > 0.0 { common / all } else { 0.0 }
}
