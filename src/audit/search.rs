//! One session in one store: what is there, and what of the promised is not.

use std::collections::{BTreeMap, BTreeSet};

use object_store::ObjectMeta;
use object_store::path::Path;

use super::index::slices;
use super::stores::{AuditStore, Refusal};
use crate::decode::object_key;

/// A session whose files are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub sid: String,
    pub app_id: Option<String>,
    pub cname: Option<String>,
    /// Paths that a call or a row of the customer's named for this channel; the empty one is the root of a bucket.
    pub prefixes: BTreeSet<String>,
    /// Names of files that notifications promised, without their path.
    pub promised: BTreeSet<String>,
    /// Number of the vendor, and bucket, that the accepted start named.
    pub destination: Option<(i32, String)>,
}

/// What is known of one file, or of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Found {
        object: ObjectMeta,
        promised_by: Option<PromisedBy>,
    },
    Missing {
        /// None: no file of the session at all.
        key: Option<String>,
        promised_by: Option<PromisedBy>,
    },
    Refused(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PromisedBy {
    Webhook,
    Index,
}

impl PromisedBy {
    pub const fn as_str(self) -> &'static str {
        match self {
            PromisedBy::Webhook => "webhook",
            PromisedBy::Index => "index",
        }
    }
}

/// Objects of one session that are taken at most: a day of slices of 32 users.
const OBJECTS_MAX: usize = 200_000;

/// Fail-overs that are looked for: `bak0_` and so on before the session's id.
const FAILOVERS: usize = 3;

/// An index longer than this is not read: it is none.
const INDEX_BYTES_MAX: u64 = 16 << 20;

/// Looks for a session's files by the beginnings that their keys can have.
pub async fn search(store: &AuditStore, wanted: &Wanted) -> Vec<Outcome> {
    let mut found: BTreeMap<Path, ObjectMeta> = BTreeMap::new();
    for start in starts(wanted) {
        match store.list(&start, OBJECTS_MAX).await {
            Ok(objects) => found.extend(objects.into_iter().map(|it| (it.location.clone(), it))),
            Err(refusal) => return vec![Outcome::Refused(refusal)],
        }
    }
    if found.is_empty() {
        let promised_by = (!wanted.promised.is_empty()).then_some(PromisedBy::Webhook);
        return vec![Outcome::Missing {
            key: None,
            promised_by,
        }];
    }
    let mut promises: BTreeMap<String, PromisedBy> = BTreeMap::new();
    let mut refused = None;
    // A promise is about the place where the index is; files elsewhere promise nothing.
    for (path, object) in &found {
        let key = path.as_ref();
        if object_key::parse(key).file_type != Some("m3u8") || object.size > INDEX_BYTES_MAX {
            continue;
        }
        let directory = key.rsplit_once('/').map_or("", |(directory, _)| directory);
        match store.get(path).await {
            Ok(bytes) => {
                let names = slices(&bytes).into_iter();
                promises.extend(names.map(|name| (joined(directory, &name), PromisedBy::Index)));
            }
            Err(refusal) => refused = Some(refusal),
        }
    }
    let is_destination = wanted
        .destination
        .as_ref()
        .is_none_or(|(vendor, bucket)| (*vendor, bucket) == (store.vendor, &store.bucket));
    let directories: BTreeSet<&str> = (found.keys())
        .map(|path| path.as_ref().rsplit_once('/').map_or("", |(it, _)| it))
        .collect();
    if let (true, Some(directory)) = (is_destination, directories.first()) {
        let names = wanted.promised.iter();
        promises.extend(names.map(|name| (joined(directory, name), PromisedBy::Webhook)));
    }
    let mut outcomes = Vec::new();
    for (path, object) in found {
        let promised_by = promises.remove(path.as_ref());
        outcomes.push(Outcome::Found {
            object,
            promised_by,
        });
    }
    outcomes.extend(promises.into_iter().map(|(key, by)| Outcome::Missing {
        key: Some(key),
        promised_by: Some(by),
    }));
    outcomes.extend(refused.map(Outcome::Refused));
    outcomes
}

/// Returns the beginnings of keys that are listed.
fn starts(wanted: &Wanted) -> Vec<String> {
    let mut starts = Vec::new();
    for prefix in &wanted.prefixes {
        starts.push(joined(prefix, &format!("{}_", wanted.sid)));
        for number in 0..FAILOVERS {
            starts.push(joined(prefix, &format!("bak{number}_{}_", wanted.sid)));
        }
    }
    starts
}

fn joined(directory: &str, name: &str) -> String {
    match directory.is_empty() {
        true => name.to_string(),
        false => format!("{directory}/{name}"),
    }
}
