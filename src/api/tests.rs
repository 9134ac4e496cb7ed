//! The router against a scripted manager.
