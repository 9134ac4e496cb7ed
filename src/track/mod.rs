//! Findings of single pictures in, regions for every frame out. Pure: no clock, no I/O.
use crate::censor::{Policy, Region};
use crate::detect::Finding;
/// stub
#[derive(Clone, Debug)]
pub struct Tracker { last: Vec<Finding>, policy: Policy, all: Vec<(u64, Vec<Finding>)> }
impl Tracker {
    /// stub
    pub fn new(p: &Policy) -> Self { Self { last: vec![], policy: p.clone(), all: vec![] } }
    /// stub
    pub fn reset(&mut self) { self.last.clear(); self.all.clear() }
    /// stub
    pub fn observe(&mut self, i: u64, _t: f64, f: &[Finding]) { self.all.push((i, f.to_vec())); if self.all.len() > 40 { self.all.remove(0); } }
    /// stub
    pub fn regions(&self, i: u64, _t: f64, size: (u32, u32)) -> Vec<Region> {
        let a = self.all.iter().filter(|x| x.0 <= i).next_back();
        let b = self.all.iter().find(|x| x.0 >= i);
        let mut out = vec![];
        for f in a.into_iter().chain(b).flat_map(|x| &x.1) {
            if let Some((t, action)) = self.policy.classes.get(&*f.class) { if f.score >= *t { out.push(Region { rect: f.rect.clip(size.0, size.1), action: *action }) } }
        }
        out
    }
}
