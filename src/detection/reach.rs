//! How far streams and buckets have come, from what the log says of files: the rows of the views that would otherwise be
//! computed from all events.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};

use super::library::Library;
use crate::engine::{Engine, EngineOptions, Stepwise};
use crate::event::{Micros, Stream};
use crate::lake::reach::{BucketReach, Reach, Sighting};

/// What is said here instead, as these queries would say it.
const STAND_IN_FOR: [&str; 6] = [
    "views/api_calls",
    "views/webhooks",
    "views/storage_events",
    "views/session_records",
    "views/event_times",
    "views/monitored_buckets",
];

const WATERMARKS: &str = "views/watermarks";

/// Returns the rows of `monitored_buckets` and `watermarks`, for [`EngineOptions::given`]. None where a user's own queries
/// say what an event is.
pub async fn given(
    library: &Library,
    reaches: &[(Stream, Reach)],
) -> Result<Vec<(String, RecordBatch)>> {
    if !STAND_IN_FOR.iter().all(|name| library.is_ours(name)) {
        return Ok(Vec::new());
    }
    let buckets = ("monitored_buckets".to_string(), buckets(reaches)?);
    // Of all events the few that decide a watermark: the view makes the same of them.
    let given = vec![
        ("event_times".to_string(), event_times(reaches)?),
        buckets.clone(),
    ];
    let options = EngineOptions {
        views: library.views_under(&[WATERMARKS])?,
        given,
        stepwise: Stepwise::Always,
        ..EngineOptions::default()
    };
    let engine = Engine::memory(Vec::new(), options).await?;
    let watermarks = library.statement(WATERMARKS)?;
    let watermarks = engine.collect(watermarks, &[]).await?;
    Ok(vec![buckets, ("watermarks".to_string(), watermarks)])
}

fn event_times(reaches: &[(Stream, Reach)]) -> Result<RecordBatch> {
    let (mut streams, mut topics, mut partitions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut event_ids, mut times) = (Vec::new(), Vec::new());
    // What is looked up about files is no witness of how far a stream has come.
    let streams_of_events = reaches.iter().filter(|(of, _)| Stream::ALL.contains(of));
    for (stream, reach) in streams_of_events {
        for of in &reach.partitions {
            for Sighting { at, event_id } in of.latest.iter().chain([&of.first]) {
                streams.push(stream.stem());
                topics.push(of.topic.as_str());
                partitions.push(of.partition);
                event_ids.push(event_id.as_str());
                times.push(*at);
            }
        }
    }
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("stream", texts(streams.into_iter().map(Some)), true),
        ("topic", texts(topics.into_iter().map(Some)), true),
        (
            "partition",
            Arc::new(Int32Array::from(partitions)) as _,
            true,
        ),
        ("event_id", texts(event_ids.into_iter().map(Some)), true),
        ("at", instants(times.into_iter()), true),
    ])?)
}

fn buckets(reaches: &[(Stream, Reach)]) -> Result<RecordBatch> {
    let mut all: Vec<&BucketReach> = reaches.iter().flat_map(|(_, of)| &of.buckets).collect();
    all.sort_by_key(|of| (&of.vendor_name, &of.bucket));
    let of = || all.iter();
    let events = Int64Array::from_iter_values(of().map(|of| of.events));
    let columns: [(&str, ArrayRef, bool); 5] = [
        (
            "vendor_name",
            texts(of().map(|of| of.vendor_name.as_deref())),
            true,
        ),
        (
            "bucket",
            texts(of().map(|of| Some(of.bucket.as_str()))),
            true,
        ),
        ("first_at", instants(of().map(|of| of.first_at)), true),
        ("last_at", instants(of().map(|of| of.last_at)), true),
        ("events", Arc::new(events), true),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn texts<'t>(values: impl Iterator<Item = Option<&'t str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn instants(values: impl Iterator<Item = Micros>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}
