//! Findings of single pictures in, regions for every frame out. Pure: no clock, no I/O.
