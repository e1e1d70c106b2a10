//! Where messages come from. [`kafka`] is the only file that names `rdkafka`'s consumer; [`file`] reads NDJSON;
//! [`producer`] sends generated fleets to Kafka; [`mock`] is a broker in this process, for the demo.

pub mod kafka;
pub mod file;
pub mod producer;
pub mod mock;
