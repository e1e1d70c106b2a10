//! The lake: one Delta table per stream. The only room that names `deltalake`.
//!
//! [`store`] makes writes durable, [`encode`] makes Parquet files of rows, [`table`] opens tables,
//! [`commit`] puts files and offsets into one commit. Nothing here knows Kafka.

pub mod failpoint;
pub mod store;
pub mod encode;
pub mod table;
pub mod commit;
pub mod log;
