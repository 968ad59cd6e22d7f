//! The commands, a file each. They write to what they are given, so that
//! tests can read it.

pub mod check_config;
