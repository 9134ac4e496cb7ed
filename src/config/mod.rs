//! What an operator may say: one TOML file, every key in the environment too.
