//! Tapetrail: where did the recording go, and which of our own calls sent it there?

pub mod clock;
pub mod event;
pub mod config;
pub mod table;
pub mod decode;
pub mod schema;
pub mod lake;
pub mod command;
