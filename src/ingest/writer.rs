//! One task per stream: takes encoded portions in order, writes their files, commits files and offsets.
//!
//! What the store refuses is tried again for as long as the process lives: nothing is dropped because a disk is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::portion::{Counts, Latest};
use crate::clock::Clock;
use crate::event::Stream;
use crate::lake::commit::{Batch, CommitError, Ledger, Range, backoff};
use crate::lake::encode::DataFile;
use crate::lake::log::AppId;
use crate::metrics::Metrics;

/// What the polling thread asks of a writer, in order.
pub enum Job {
    /// A portion that is being encoded.
    Portion {
        /// Portions of a generation that was fenced are dropped.
        generation: u64,
        /// What the portion holds in memory.
        bytes: usize,
        encoding: JoinHandle<Encoded>,
    },
    /// Commit what was written since the last commit.
    Commit { generation: u64 },
    /// The next offset that the newest version of the table holds for each name.
    Stored {
        app_ids: Vec<AppId>,
        reply: Sender<Vec<Option<i64>>>,
    },
}

/// What became of a portion.
pub struct Encoded {
    pub files: Vec<DataFile>,
    pub rows: usize,
    /// The offsets it covers.
    pub ranges: BTreeMap<AppId, Range>,
}

/// What the polling thread is told.
pub enum Done {
    /// The messages of a portion were decoded.
    Decoded {
        stream: Stream,
        counts: Counts,
        /// By partition.
        latest: BTreeMap<i32, Latest>,
    },
    /// A portion is out of memory.
    Released { bytes: usize },
    Committed {
        stream: Stream,
        ranges: BTreeMap<AppId, Range>,
        rows: usize,
        version: u64,
        took: Duration,
    },
    /// Another consumer committed some of our offsets; all that was not committed is dropped.
    Fenced {
        stream: Stream,
        generation: u64,
        why: String,
    },
}

pub struct Writer {
    pub ledger: Ledger,
    pub jobs: UnboundedReceiver<Job>,
    pub done: Sender<Done>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// Ends the waiting for a store that does not answer.
    pub abandon: CancellationToken,
}

impl Writer {
    /// Works until the polling thread is gone, or the waiting is ended.
    pub async fn run(mut self) {
        let mut pending = Batch::default();
        let mut rows = 0;
        let mut fenced_generation = None;
        while let Some(job) = self.jobs.recv().await {
            let (generation, outcome) = match job {
                Job::Stored { app_ids, reply } => {
                    match self.stored(&app_ids).await {
                        Some(offsets) => drop(reply.send(offsets)),
                        None => return,
                    }
                    continue;
                }
                Job::Portion {
                    generation,
                    bytes,
                    encoding,
                } => {
                    let encoded = encoding.await.expect("encoding does not panic");
                    let outcome = if fenced_generation == Some(generation) {
                        Ok(())
                    } else {
                        rows += encoded.rows;
                        self.write(encoded, &mut pending).await
                    };
                    self.tell(Done::Released { bytes });
                    (generation, outcome)
                }
                Job::Commit { generation } => {
                    let outcome = if fenced_generation == Some(generation) || pending.is_empty() {
                        Ok(())
                    } else {
                        self.commit(&mut pending, std::mem::take(&mut rows)).await
                    };
                    (generation, outcome)
                }
            };
            match outcome {
                Ok(()) => {}
                Err(Stop::Fenced(why)) => {
                    pending = Batch::default();
                    rows = 0;
                    fenced_generation = Some(generation);
                    self.tell(Done::Fenced {
                        stream: self.ledger.stream(),
                        generation,
                        why,
                    });
                }
                Err(Stop::Abandoned) => return,
            }
        }
    }

    /// Writes the files of a portion; they wait in `pending` for the commit.
    async fn write(&mut self, encoded: Encoded, pending: &mut Batch) -> Result<(), Stop> {
        let stream = self.ledger.stream();
        for file in encoded.files {
            let bytes = file.bytes.len();
            let mut attempt = 0;
            let add = loop {
                match self.ledger.put(&file).await {
                    Ok(add) => break add,
                    Err(error) => self.wait(&mut attempt, &error).await?,
                }
            };
            self.store_answers();
            self.metrics
                .file_bytes
                .with_label_values(&[stream.stem()])
                .inc_by(bytes as u64);
            pending.adds.push(add);
        }
        pending.extend_ranges(encoded.ranges);
        Ok(())
    }

    async fn commit(&mut self, pending: &mut Batch, rows: usize) -> Result<(), Stop> {
        let started = self.clock.instant();
        let mut attempt = 0;
        let version = loop {
            match self.ledger.commit(pending).await {
                Ok(version) => break version,
                Err(CommitError::Fenced(why)) => return Err(Stop::Fenced(why)),
                Err(error) => self.wait(&mut attempt, &error).await?,
            }
            // The next try needs the newest state to see whether this one landed after all.
            while let Err(error) = self.ledger.refresh().await {
                self.wait(&mut attempt, &error).await?;
            }
        };
        self.store_answers();
        let stream = self.ledger.stream();
        let took = self.clock.elapsed(started);
        let label = [stream.stem()];
        self.metrics
            .commit_seconds
            .with_label_values(&label)
            .observe(took.as_secs_f64());
        self.metrics
            .commit_rows
            .with_label_values(&label)
            .inc_by(rows as u64);
        self.tell(Done::Committed {
            stream,
            ranges: std::mem::take(pending).ranges,
            rows,
            version,
            took,
        });
        Ok(())
    }

    /// Reads offsets from the newest version; none when the waiting was ended.
    async fn stored(&mut self, app_ids: &[AppId]) -> Option<Vec<Option<i64>>> {
        let mut attempt = 0;
        loop {
            match self.read(app_ids).await {
                Ok(offsets) => {
                    self.store_answers();
                    return Some(offsets);
                }
                Err(error) => self.wait(&mut attempt, &error).await.ok()?,
            }
        }
    }

    async fn read(&mut self, app_ids: &[AppId]) -> Result<Vec<Option<i64>>, CommitError> {
        self.ledger.refresh().await?;
        let mut offsets = Vec::with_capacity(app_ids.len());
        for app_id in app_ids {
            offsets.push(self.ledger.stored(app_id).await?);
        }
        Ok(offsets)
    }

    /// Says what went wrong and waits before the next try.
    async fn wait(&self, attempt: &mut u32, error: &CommitError) -> Result<(), Stop> {
        *attempt += 1;
        let stream = self.ledger.stream();
        let delay = backoff(*attempt);
        tracing::warn!(%stream, attempt = *attempt, retry_in_ms = delay.as_millis() as u64, %error, "the lake refuses a write");
        self.metrics
            .commit_failures
            .with_label_values(&[stream.stem()])
            .inc();
        self.metrics
            .unready(&store_cause(stream), error.to_string());
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            () = self.abandon.cancelled() => Err(Stop::Abandoned),
        }
    }

    fn store_answers(&self) {
        self.metrics.ready(&store_cause(self.ledger.stream()));
    }

    fn tell(&self, done: Done) {
        // The polling thread may be gone already when the process stops.
        let _ = self.done.send(done);
    }
}

enum Stop {
    Fenced(String),
    Abandoned,
}

fn store_cause(stream: Stream) -> String {
    format!("lake {stream}")
}
