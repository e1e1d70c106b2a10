//! Where messages come from.

pub mod mock;
