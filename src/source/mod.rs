//! Where messages come from. [`kafka`] is the only file that names `rdkafka`'s consumer; [`file`] reads NDJSON.

pub mod kafka;
pub mod file;
