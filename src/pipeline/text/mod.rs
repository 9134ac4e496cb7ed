//! Text in the picture: found where it is new, read once, followed while it stays.
//!
//! ```text
//! analysed frame ─► sheet ─► motion ─► cells: new, could be text? ─► areas ─► Reader::find ─┐
//!                              │                                                            ▼
//!                              └──────► lines: moved along, still the same? ◄────────── new lines
//!                                        │ not read yet                                     │
//!                                        ▼                                                  │
//!                                       Reader::read ─► judge ─► verdict: what is covered ◄─┘
//! ```
//!
//! One thread a track ([`Lane`]) takes the frames that the guard has analysed, in order. What moves
//! is explained by where it was (`motion`); only what is new, and could be text, is searched; a
//! line is read once and then checked by its fingerprint (`print`) at every look. What was not
//! searched or read by the deadline is covered, if the rules say so. Everything but `stage` is
//! pure.

mod areas;
mod cells;
mod desk;
mod entering;
mod faint;
mod geometry;
mod lines;
mod motion;
mod page;
mod print;
mod rules;
mod sheet;
mod sieve;
mod stage;
mod template;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use desk::Desk;
pub(crate) use rules::problems;
pub(crate) use stage::{Answer, Look, Reply, Rules, Stage};
pub(crate) use verdict::{Found, Hit};
