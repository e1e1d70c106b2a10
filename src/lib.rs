//! Tapetrail: where did the recording go, and which of our own calls sent it there?
//!
//! # Life of an event
//!
//! 1. [`source::kafka`] polls a message on a thread of its own; [`ingest`] looks where it belongs and whether it
//!    is the one that is expected next.
//! 2. [`intake`] has [`redact`] copy it without its secrets. Nothing after this step ever sees one.
//! 3. [`decode`] reads the redacted text into a typed row: an event, a dead letter, or a skipped row.
//! 4. [`table`] copies the row into Arrow builders, beside where it came from.
//! 5. [`lake::encode`] sorts a portion of rows and writes it as Parquet, off the polling thread.
//! 6. [`lake::commit`] makes one Delta commit of the files *and* the offsets they end at.
//! 7. [`engine`] opens the tables for SQL; [`detection`] runs `queries/`; [`render`] prints what they find.
//! 8. [`verify`] proves at any time that every offset is there, once.
//! 9. [`maintain`] sorts small files into large ones and removes what nobody can ask for any more.
//!
//! The modules stand in the order in which data meets them; each uses only those above it.

pub mod event;
pub mod clock;
pub mod vendor;
pub mod config;
pub mod table;
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
pub mod audit;
pub mod verify;
pub mod maintain;
pub mod generate;
pub mod render;
pub mod report;
pub mod server;
pub mod proxy;
pub mod command;
