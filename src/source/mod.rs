//! Where messages come from. [`kafka`] is the only file that names `rdkafka`'s consumer; [`file`] reads NDJSON;
//! [`producer`] sends generated fleets to Kafka; [`mock`] is a broker in this process, for the demo. [`trouble`] puts
//! into words why no broker can be used.

pub mod kafka;
pub mod file;
pub mod producer;
pub mod mock;
mod trouble;
