//! The lake: one Delta table per stream. Of the other rooms only `verify` and `maintain`, which read its log, name `deltalake`.
//!
//! [`store`] finds a lake's store: [`disk`], whose writes are made durable, or [`remote`], an object store, whose errors
//! [`plain`] makes readable. [`encode`] makes Parquet files of rows in the order that `order` finds, [`reach`] notes beside
//! them how far partitions have come, [`table`] opens tables, [`history`] their earlier versions, [`commit`] puts files and offsets into one commit, [`replace`] exchanges
//! files for others. Nothing here knows Kafka.

pub mod failpoint;
mod disk;
pub mod plain;
mod remote;
pub mod store;
mod order;
pub mod reach;
pub mod encode;
mod damage;
pub mod table;
pub mod log;
pub mod commit;
pub mod history;
pub mod replace;
