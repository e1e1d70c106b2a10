//! One session in one store: what is there, and what of the promised is not.

use std::collections::{BTreeMap, BTreeSet};

use super::index::slices;
use super::stores::{AuditStore, Object, Refusal};
use crate::decode::object_key;

/// A session whose files are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub sid: String,
    pub cname: Option<String>,
    /// Names of the stores that are looked into.
    pub stores: BTreeSet<String>,
    /// Paths that a call or a row of the customer's named for this channel; the empty one is the root of a bucket.
    pub prefixes: BTreeSet<String>,
    /// Names of files that the service promised, without their path.
    pub promised: BTreeMap<String, PromisedBy>,
    /// Number of the vendor, and bucket, that the accepted start named.
    pub destination: Option<(i32, String)>,
}

/// What is known of one file, or of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Found {
        object: Object,
        promised_by: Option<PromisedBy>,
    },
    Missing {
        /// None: no file of the session at all.
        key: Option<String>,
        promised_by: Option<PromisedBy>,
    },
    Refused(Refusal),
}

/// What said that a file would be there; of several the strongest, which is the last here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PromisedBy {
    Answer,
    UploadStatus,
    Webhook,
    Index,
}

impl PromisedBy {
    pub const fn as_str(self) -> &'static str {
        match self {
            PromisedBy::Answer => "answer",
            PromisedBy::UploadStatus => "upload_status",
            PromisedBy::Webhook => "webhook",
            PromisedBy::Index => "index",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<PromisedBy> {
        use PromisedBy::{Answer, Index, UploadStatus, Webhook};
        let all = [Answer, UploadStatus, Webhook, Index];
        all.into_iter().find(|by| by.as_str() == text)
    }
}

/// Fail-overs that are looked for: `bak0_` and so on before the session's id. There are no more (`domain/cloud-recording-api.md`,
/// section 7).
const FAILOVERS: usize = 3;

/// An index longer than this is not read: it is none.
const INDEX_BYTES_MAX: i64 = 16 << 20;

/// Looks for a session's files, and for those that were promised.
pub async fn search(store: &AuditStore, wanted: &Wanted) -> Vec<Outcome> {
    let files = match store.files(&wanted.sid, &starts(wanted)).await {
        Ok(files) => files.into_iter().map(|file| (file.key.clone(), file)),
        Err(refusal) => return vec![Outcome::Refused(refusal)],
    };
    let found: BTreeMap<String, Object> = files.collect();
    if found.is_empty() {
        let promised_by = wanted.promised.values().max().copied();
        return vec![Outcome::Missing {
            key: None,
            promised_by,
        }];
    }
    let (mut promises, refusal) = promised_by_indexes(store, &found).await;
    let is_destination = wanted
        .destination
        .as_ref()
        .is_none_or(|(vendor, bucket)| (*vendor, bucket) == (store.vendor, &store.bucket));
    // The service promises names; that they are not where others are, a copy job explains elsewhere.
    let directory = found.keys().next().map_or("", |key| directory(key));
    if is_destination {
        for (name, by) in &wanted.promised {
            let key = found.keys().find(|key| file_name(key) == name).cloned();
            let key = key.unwrap_or_else(|| joined(directory, name));
            promises.entry(key).or_insert(*by);
        }
    }
    let mut outcomes = Vec::new();
    for (key, object) in found {
        let promised_by = promises.remove(&key);
        outcomes.push(Outcome::Found {
            object,
            promised_by,
        });
    }
    outcomes.extend(promises.into_iter().map(|(key, by)| Outcome::Missing {
        key: Some(key),
        promised_by: Some(by),
    }));
    outcomes.extend(refusal.map(Outcome::Refused));
    outcomes
}

/// Reads the indexes among the files. A promise is about the place where the index is; one elsewhere promises nothing.
async fn promised_by_indexes(
    store: &AuditStore,
    found: &BTreeMap<String, Object>,
) -> (BTreeMap<String, PromisedBy>, Option<Refusal>) {
    let (mut promises, mut refusal) = (BTreeMap::new(), None);
    for (key, object) in found {
        let is_index = object_key::parse(key).file_type == Some("m3u8");
        if !is_index || object.size.is_some_and(|size| size > INDEX_BYTES_MAX) {
            continue;
        }
        match store.get(key).await {
            Some(Ok(bytes)) => {
                let names = slices(&bytes).into_iter();
                let keys = names.map(|name| (joined(directory(key), &name), PromisedBy::Index));
                promises.extend(keys);
            }
            Some(Err(refused)) => refusal = Some(refused),
            None => {}
        }
    }
    (promises, refusal)
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

fn directory(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn file_name(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, name)| name)
}
