//! The way of a frame.
