//! Parse the command line, run, and tell the truth in the exit code.

fn main() {}
