//! An object store that misbehaves by script: refuses calls, performs them and loses the answer, tears
//! what it writes, or holds a call until the test lets it go.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result,
};
use tokio::sync::Semaphore;

/// One call of the store, in the order in which they came.
#[derive(Debug, Clone)]
pub struct Call {
    /// From 1.
    pub number: usize,
    pub operation: Operation,
    pub path: String,
}

impl Call {
    /// Says whether this call writes a commit to the log.
    pub fn is_commit(&self) -> bool {
        self.operation == Operation::Put
            && self.path.contains("/_delta_log/")
            && self.path.ends_with(".json")
    }

    /// Says whether this call writes rows.
    pub fn is_data(&self) -> bool {
        self.operation == Operation::Put && self.path.contains("/event_date=")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Put,
    Get,
    List,
    Copy,
    Delete,
}

/// What becomes of a call.
pub enum Verdict {
    Pass,
    /// Nothing happens, the caller gets an error.
    Refuse(Fault),
    /// It happens, and the caller gets an error all the same.
    LoseAnswer(Fault),
    /// Half of what is written lands beside its name, as in a staging file; the caller gets an error.
    Tear(Fault),
    /// It happens as soon as the test gives a permit.
    Hold(Arc<Semaphore>),
}

/// What a store says when it does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    NoSpace,
    ServiceUnavailable,
    TooManyRequests,
    ConnectionReset,
    Forbidden,
    /// The name is taken: also what a client hears that repeats a write which had landed.
    NameTaken,
    /// The process died; no later call is performed, either.
    Died,
}

impl Fault {
    fn error(self, path: &str) -> Error {
        let generic = |source: io::Error| Error::Generic {
            store: "FaultyStore",
            source: source.into(),
        };
        match self {
            Fault::NoSpace => generic(io::ErrorKind::StorageFull.into()),
            Fault::ServiceUnavailable => generic(io::Error::other("503 Slow Down")),
            Fault::TooManyRequests => generic(io::Error::other("429 Too Many Requests")),
            Fault::ConnectionReset => generic(io::ErrorKind::ConnectionReset.into()),
            Fault::Forbidden => Error::PermissionDenied {
                path: path.to_string(),
                source: "403 ExpiredToken".into(),
            },
            Fault::NameTaken => Error::AlreadyExists {
                path: path.to_string(),
                source: "412 Precondition Failed".into(),
            },
            Fault::Died => generic(io::Error::other("the process died")),
        }
    }
}

/// Nothing here takes a part of this.
const FAR_TOO_LONG: Duration = Duration::from_secs(60);

type Script = Box<dyn Fn(&Call) -> Verdict + Send + Sync>;

pub struct FaultyStore {
    itself: Weak<FaultyStore>,
    disk: Arc<dyn ObjectStore>,
    script: Script,
    calls: Mutex<Vec<Call>>,
    refusals: Mutex<usize>,
    refused: Condvar,
}

impl FaultyStore {
    pub fn new(
        disk: Arc<dyn ObjectStore>,
        script: impl Fn(&Call) -> Verdict + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new_cyclic(|itself| FaultyStore {
            itself: itself.clone(),
            disk,
            script: Box::new(script),
            calls: Mutex::default(),
            refusals: Mutex::default(),
            refused: Condvar::new(),
        })
    }

    /// Returns all calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("not poisoned").clone()
    }

    /// Blocks until so many calls have ended in an error of the script; fails the test when nobody tries any more.
    pub fn wait_for_refusals(&self, least: usize) {
        let refusals = self.refusals.lock().expect("not poisoned");
        let (refusals, waited) = self
            .refused
            .wait_timeout_while(refusals, FAR_TOO_LONG, |refusals| *refusals < least)
            .expect("not poisoned");
        assert!(!waited.timed_out(), "only {} calls were refused", *refusals);
    }

    /// Asks the script; returns the fault that the caller hears after the call was performed.
    async fn admit(&self, operation: Operation, path: &str) -> Result<Admitted> {
        let call = {
            let mut calls = self.calls.lock().expect("not poisoned");
            let call = Call {
                number: calls.len() + 1,
                operation,
                path: path.to_string(),
            };
            calls.push(call.clone());
            call
        };
        match (self.script)(&call) {
            Verdict::Pass => Ok(Admitted::Whole),
            Verdict::Hold(gate) => {
                gate.acquire().await.expect("the gate stays").forget();
                Ok(Admitted::Whole)
            }
            Verdict::Refuse(fault) => Err(self.refuse(fault, path)),
            Verdict::LoseAnswer(fault) => Ok(Admitted::Unanswered(fault)),
            Verdict::Tear(fault) => Ok(Admitted::Torn(fault)),
        }
    }

    fn refuse(&self, fault: Fault, path: &str) -> Error {
        *self.refusals.lock().expect("not poisoned") += 1;
        self.refused.notify_all();
        fault.error(path)
    }

    fn answer<T>(&self, admitted: Admitted, path: &Path, outcome: Result<T>) -> Result<T> {
        match admitted {
            Admitted::Whole => outcome,
            Admitted::Unanswered(fault) | Admitted::Torn(fault) => {
                Err(self.refuse(fault, path.as_ref()))
            }
        }
    }
}

enum Admitted {
    Whole,
    Unanswered(Fault),
    Torn(Fault),
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.disk)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let admitted = self.admit(Operation::Put, location.as_ref()).await?;
        let outcome = match admitted {
            Admitted::Torn(_) => {
                let bytes = Bytes::from(payload);
                let half = bytes.slice(..bytes.len() / 2);
                // Disks give a file its name when it is whole; `#1` is what is left before that.
                let staging = Path::from(format!("{location}#1"));
                self.disk.put(&staging, half.into()).await
            }
            _ => self.disk.put_opts(location, payload, options).await,
        };
        self.answer(admitted, location, outcome)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        panic!(
            "`{location}`: the lake writes whole objects; give the script multipart uploads first"
        )
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let admitted = self.admit(Operation::Get, location.as_ref()).await?;
        let outcome = self.disk.get_opts(location, options).await;
        self.answer(admitted, location, outcome)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let admitted = self.admit(Operation::Get, location.as_ref()).await?;
        let outcome = self.disk.get_ranges(location, ranges).await;
        self.answer(admitted, location, outcome)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // One call for each, in their order, as it would be with the least able of stores.
        let store = self.itself.upgrade().expect("is used while it is there");
        locations
            .then(move |location| {
                let store = Arc::clone(&store);
                async move {
                    let location = location?;
                    let admitted = store.admit(Operation::Delete, location.as_ref()).await?;
                    let outcome = store.disk.delete(&location).await;
                    store.answer(admitted, &location, outcome)?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let admitted = self.admit_listing(prefix);
        match admitted {
            Ok(()) => self.disk.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.admit_listing(prefix) {
            Ok(()) => self.disk.list_with_offset(prefix, offset),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.admit_listing(prefix)?;
        self.disk.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let admitted = self.admit(Operation::Copy, to.as_ref()).await?;
        let outcome = self.disk.copy_opts(from, to, options).await;
        self.answer(admitted, to, outcome)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let admitted = self.admit(Operation::Copy, to.as_ref()).await?;
        let outcome = self.disk.rename_opts(from, to, options).await;
        self.answer(admitted, to, outcome)
    }
}

impl FaultyStore {
    /// A listing has no half: it is given or refused.
    fn admit_listing(&self, prefix: Option<&Path>) -> Result<()> {
        let path = prefix.map_or("", AsRef::as_ref);
        let admitted = futures::FutureExt::now_or_never(self.admit(Operation::List, path));
        match admitted.expect("scripts hold no listings")? {
            Admitted::Whole => Ok(()),
            Admitted::Unanswered(fault) | Admitted::Torn(fault) => Err(self.refuse(fault, path)),
        }
    }
}
