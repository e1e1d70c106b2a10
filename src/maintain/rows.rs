//! Rows of some files of a table in an order, within a bound on memory: what does not fit is sorted on disk.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, ident};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::DeltaTable;

use crate::event::Stream;
use crate::lake::table::provider_of_files;
use crate::table;

/// Rows handed on at once: few, because payloads are long and a merge holds a batch of each of its inputs.
const BATCH_ROWS: usize = 2048;

/// Reads files sorted by `keys`, ascending, nulls before values.
pub(super) async fn sorted(
    table: &DeltaTable,
    paths: Vec<String>,
    filter: Option<Expr>,
    columns: Option<&[&str]>,
    keys: impl Iterator<Item = &'static str>,
    memory_bytes: usize,
) -> Result<SendableRecordBatchStream> {
    // One partition: the whole memory for one sort, and a core left to the consumers.
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
        .build_arc()?;
    let session = SessionContext::new_with_config_rt(config, runtime);
    let mut rows = session.read_table(provider_of_files(table, paths).await?)?;
    if let Some(filter) = filter {
        rows = rows.filter(filter)?;
    }
    if let Some(columns) = columns {
        rows = rows.select(columns.iter().map(|name| ident(*name)))?;
    }
    let keys = keys.map(|name| ident(name).sort(true, true)).collect();
    Ok(rows.sort(keys)?.execute_stream().await?)
}

/// Returns rows in the types that files are written from. Columns that this release does not know stay as they are.
pub(super) fn as_written(stream: Stream, rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = written_schema(stream, &rows.schema());
    let columns = schema
        .fields()
        .iter()
        .map(|field| cast(&rows[field.name().as_str()], field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn written_schema(stream: Stream, read: &SchemaRef) -> SchemaRef {
    let known = table::schema(stream);
    let unknown = read
        .fields()
        .iter()
        .filter(|field| known.field_with_name(field.name()).is_err());
    let fields: Vec<_> = known.fields().iter().chain(unknown).cloned().collect();
    Arc::new(Schema::new(fields))
}
