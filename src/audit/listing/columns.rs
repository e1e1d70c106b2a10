//! Which column of a listing is what, whatever it is called, and the objects in its rows.

use anyhow::{Context, Result, anyhow};
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};

use super::Catalog;
use crate::audit::stores::Object;
use crate::config;
use crate::decode::storage_events::form_decoded;
use crate::decode::time::parse_assuming_utc;
use crate::event::Micros;

/// What the columns are called, where they have names of their own.
pub(super) struct Names(pub(super) config::ListingColumns);

/// Which column is what, by its place.
pub(super) struct Columns {
    key: usize,
    bucket: Option<usize>,
    size: Option<usize>,
    etag: Option<usize>,
    written_at: Option<usize>,
    is_latest: Option<usize>,
    is_delete_marker: Option<usize>,
}

impl Columns {
    pub(super) fn find(schema: &Schema, Names(names): &Names) -> Result<Columns> {
        let place = |named: &Option<String>, usual: &[&str]| match named {
            Some(name) => {
                let place = schema.index_of(name);
                let place =
                    place.map_err(|_| anyhow!("has no column `{name}`{}", columns(schema)))?;
                anyhow::Ok(Some(place))
            }
            None => Ok(usual.iter().find_map(|usual| {
                (schema.fields().iter()).position(|field| plain(field.name()) == *usual)
            })),
        };
        let key = place(
            &names.key,
            &["key", "objectkey", "objectname", "name", "path"],
        )?;
        Ok(Columns {
            key: key.with_context(|| {
                format!(
                    "no column looks like the keys of objects{}; name it in audit.stores.<NAME>.columns, as in columns = {{ key = \"path\" }}",
                    columns(schema)
                )
            })?,
            bucket: place(&names.bucket, &["bucket", "bucketname", "container"])?,
            size: place(&names.size, &["size", "bytes", "contentlength"])?,
            etag: place(&names.etag, &["etag", "md5", "md5hash"])?,
            written_at: place(
                &names.written_at,
                &["lastmodifieddate", "lastmodified", "lastmodifiedtime", "updated", "writtenat"],
            )?,
            is_latest: place(&None, &["islatest"])?,
            is_delete_marker: place(&None, &["isdeletemarker"])?,
        })
    }

    /// Shows every object of a batch that a reader of the bucket would get.
    pub(super) fn visit(
        &self,
        batch: &RecordBatch,
        catalog: &Catalog,
        visit: &mut dyn FnMut(Object),
    ) -> Result<()> {
        let text = |place: Option<usize>| place.map(|at| texts(batch.column(at))).transpose();
        let (keys, buckets) = (texts(batch.column(self.key))?, text(self.bucket)?);
        let (etags, written) = (
            text(self.etag)?,
            self.written_at.map(|at| times(batch.column(at))),
        );
        let written = written.transpose()?;
        let (latest, marker) = (text(self.is_latest)?, text(self.is_delete_marker)?);
        let sizes = self.size.map(|at| cast(batch.column(at), &DataType::Int64));
        let sizes = sizes.transpose()?;
        let says = |column: &Option<StringArray>, row: usize, what: &str| {
            let column = column.as_ref().filter(|column| column.is_valid(row));
            column.is_some_and(|column| column.value(row).trim().eq_ignore_ascii_case(what))
        };
        for row in 0..batch.num_rows() {
            // Of a bucket that keeps versions only those count that a reader gets.
            let is_past = says(&latest, row, "false") || says(&marker, row, "true");
            let is_other = buckets.is_some() && !says(&buckets, row, &catalog.bucket);
            if is_past || is_other || keys.is_null(row) {
                continue;
            }
            let key = keys.value(row);
            let key = match catalog.is_encoded {
                true => form_decoded(key.into()).into_owned(),
                false => key.to_string(),
            };
            visit(Object {
                key: key.trim_start_matches('/').to_string(),
                size: sizes.as_ref().and_then(|sizes| {
                    let sizes = sizes.as_primitive::<Int64Type>();
                    sizes.is_valid(row).then(|| sizes.value(row))
                }),
                etag: etags.as_ref().and_then(|etags| {
                    let etag = etags
                        .is_valid(row)
                        .then(|| etags.value(row).trim_matches('"'))?;
                    (!etag.is_empty()).then(|| etag.to_string())
                }),
                written_at: written.as_ref().and_then(|written| written[row]),
            });
        }
        Ok(())
    }
}

/// Names the columns that there are, for who has to choose.
fn columns(schema: &Schema) -> String {
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|it| it.name().as_str())
        .collect();
    format!("; its columns are {}", names.join(", "))
}

/// `LastModifiedDate`, `last_modified_date` and `Last-Modified Date` are one name.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|it| it.is_ascii_alphanumeric());
    letters.collect::<String>().to_ascii_lowercase()
}

fn texts(column: &dyn Array) -> Result<StringArray> {
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn times(column: &dyn Array) -> Result<Vec<Option<Micros>>> {
    if matches!(column.data_type(), DataType::Timestamp(..)) {
        let column = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        return Ok(column
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .collect());
    }
    let texts = texts(column)?;
    Ok(texts.iter().map(|text| parse_assuming_utc(text?)).collect())
}
