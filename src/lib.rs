//! Tapetrail: where did the recording go, and which of our own calls sent it there?

pub mod clock;
pub mod event;
pub mod config;
pub mod table;
pub mod vendor;
pub mod redact;
pub mod decode;
pub mod schema;
pub mod metrics;
pub mod intake;
pub mod source;
pub mod lake;
pub mod ingest;
pub mod engine;
pub mod detection;
pub mod verify;
pub mod generate;
pub mod render;
pub mod command;
