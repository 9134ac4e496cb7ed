//! Named tasks and threads, stop signals, deadlines.
