//! Produces the fleet and consumes it at the same time, each at the other's pace.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::command::progress::Progress;
use crate::command::{Context, consume::consume_on_thread};
use crate::event::Stream;
use crate::generate::{Fleet, Settings, Truth};
use crate::ingest::{Run, Totals};
use crate::metrics::Metrics;
use crate::source::mock::{Broker, Feed, Record};

/// Partitions of each topic.
const PARTITIONS: usize = 8;

/// Fills the lake of `context` with a fleet; returns what was planted in it.
pub(super) fn fill(runtime: &Runtime, context: &Context, settings: Settings) -> Result<Truth> {
    let topics = Stream::ALL.map(Stream::default_topic);
    let broker = Broker::start(topics, PARTITIONS as i32)?;
    let mut context = context.clone();
    context.config.kafka.brokers = broker.address();
    let topics = topics.map(str::to_string).to_vec();
    let group = context.config.kafka.group.clone();
    let mut feed = Feed::connect(&broker.address(), topics, PARTITIONS, &group)?;

    let shutdown = CancellationToken::new();
    let consumer = {
        let shutdown = shutdown.clone();
        runtime.spawn(async move {
            let metrics = Arc::new(Metrics::new());
            consume_on_thread(&context, Run::default(), metrics, shutdown).await
        })
    };
    let produced = produce(&mut feed, &consumer, settings);
    shutdown.cancel();
    let consumed = runtime
        .block_on(consumer)
        .context("the consumer's task died")?;
    // Where both failed, the consumer did so first: the feed only waits for it.
    let totals: Totals = consumed?;
    let truth = produced?;
    eprintln!(
        "{} messages consumed: {} events, {} dead letters, {} skipped, in {} commits",
        totals.messages, totals.events, totals.dead, totals.skipped, totals.commits
    );
    Ok(truth)
}

/// Sends the whole fleet, then waits until the group has committed all of it.
fn produce(
    feed: &mut Feed,
    consumer: &JoinHandle<Result<Totals>>,
    settings: Settings,
) -> Result<Truth> {
    let mut fleet = Fleet::new(settings);
    let progress = Progress::new("producing and consuming", u64::from(fleet.progress().1));
    while let Some(message) = fleet.next() {
        let topic = Stream::ALL
            .iter()
            .position(|stream| *stream == message.stream);
        let record = Record {
            topic: topic.expect("all streams have a topic"),
            key: message.key.as_deref(),
            value: message.value.as_deref(),
            at: message.at,
        };
        while !feed.try_send(&record)? {
            check_alive(consumer)?;
        }
        progress.set(u64::from(fleet.progress().0));
    }
    feed.flush()?;
    progress.finish();

    let lag = feed.lag()?;
    let progress = Progress::new("consuming the rest", lag);
    loop {
        let left = feed.lag()?;
        progress.set(lag.saturating_sub(left));
        if left == 0 {
            progress.finish();
            return Ok(fleet.into_truth());
        }
        check_alive(consumer)?;
    }
}

fn check_alive(consumer: &JoinHandle<Result<Totals>>) -> Result<()> {
    if consumer.is_finished() {
        bail!("the consumer has stopped");
    }
    Ok(())
}
