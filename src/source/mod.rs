//! Where messages come from. [`kafka`] is the only file that names `rdkafka`'s consumer; [`file`] reads NDJSON, and
//! [`csv`] makes it of CSV;
//! [`producer`] sends generated fleets to Kafka, [`acknowledged`] what somebody waits for an answer about; [`mock`] is
//! a broker in this process, for the demo. [`trouble`] puts into words why no broker can be used.

pub mod kafka;
pub mod file;
pub mod csv;
pub mod producer;
pub mod acknowledged;
pub mod mock;
mod trouble;
