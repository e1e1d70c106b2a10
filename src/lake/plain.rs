//! Errors as people read them. A client of an object store tells of an error with the request, the page that came for
//! an answer and how often it tried; every layer above tells the same again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// Returns an error and its causes as one sentence. What was said already is not said again.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// Returns a store whose errors say where and what, and no more; of the same kinds as before.
pub(super) fn with_plain_errors(store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    let inner = Arc::new(store);
    Arc::new(PlainErrors { inner })
}

#[derive(Debug)]
struct PlainErrors {
    inner: Arc<dyn ObjectStore>,
}

impl fmt::Display for PlainErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

/// What is left of an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

fn plain(error: Error) -> Error {
    let source = Box::new(Said(said(&error)));
    match error {
        Error::Generic { store, .. } => Error::Generic { store, source },
        Error::NotFound { path, .. } => Error::NotFound { path, source },
        Error::PermissionDenied { path, .. } => Error::PermissionDenied { path, source },
        Error::Unauthenticated { path, .. } => Error::Unauthenticated { path, source },
        other => other,
    }
}

/// Where a machine in a cloud asks for the credentials of its role.
const ROLE_HOST: &str = "169.254.169.254";

/// Says whom was asked, and what it answered or why there is no answer.
pub fn said(error: &Error) -> String {
    let text = error.to_string();
    let url = url(&text).unwrap_or("the store");
    if url.contains(ROLE_HOST) {
        return "there are no credentials: the environment names none, and the machine has no role"
            .to_string();
    }
    match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => {
            format!("{url} answers {code}, {}", message.trim_end_matches('.'))
        }
        _ => match root(error) {
            cause if cause == "URL scheme is not allowed" => {
                format!("{url}: plain HTTP is not allowed; AWS_ALLOW_HTTP=true allows it")
            }
            cause => format!("{url}: {cause}"),
        },
    }
}

/// Returns the last of an error's causes.
fn root(error: &Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// Returns the URL of a request without what it asks for.
fn url(text: &str) -> Option<&str> {
    let at = text.find("http://").or_else(|| text.find("https://"))?;
    text[at..].split(['?', ' ']).next()
}

/// Returns the text of the first XML element of a name.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once("</")?;
    (!content.is_empty()).then_some(content)
}

#[async_trait]
impl ObjectStore for PlainErrors {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.inner.put_opts(location, payload, options).await;
        put.map_err(plain)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.inner.put_multipart_opts(location, options).await;
        begun.map_err(plain)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        (self.inner.get_opts(location, options).await).map_err(plain)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        (self.inner.get_ranges(location, ranges).await).map_err(plain)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations).map_err(plain).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix).map_err(plain).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list_with_offset(prefix, offset);
        listed.map_err(plain).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        (self.inner.list_with_delimiter(prefix).await).map_err(plain)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        (self.inner.copy_opts(from, to, options).await).map_err(plain)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        (self.inner.rename_opts(from, to, options).await).map_err(plain)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_answer_is_told_without_its_page() {
        let page = "Error performing GET http://host:9000/lakes?list-type=2&prefix=a in 5ms - Server returned non-2xx status code: 403 Forbidden: <?xml?>\n<Error><Code>AccessDenied</Code><Message>Access Denied.</Message><Key>k</Key></Error>";
        let error = Error::Generic {
            store: "S3",
            source: page.into(),
        };
        assert_eq!(
            plain(error).to_string(),
            "Generic S3 error: http://host:9000/lakes answers AccessDenied, Access Denied"
        );
    }

    #[test]
    fn what_a_person_forgot_is_named() {
        let plain_text = |text: &'static str| {
            let source = text.into();
            plain(Error::Generic {
                store: "S3",
                source,
            })
            .to_string()
        };
        let no_role = "Error performing PUT http://169.254.169.254/latest/api/token in 1s - x";
        assert!(plain_text(no_role).contains("no credentials"));
        let no_answer = "Error performing GET http://host:9000/lakes?x in 1s";
        assert!(plain_text(no_answer).starts_with("Generic S3 error: http://host:9000/lakes: "));
    }

    #[test]
    fn kinds_that_decide_what_happens_stay() {
        let taken = Error::AlreadyExists {
            path: "a".to_string(),
            source: "x".into(),
        };
        assert!(matches!(plain(taken), Error::AlreadyExists { .. }));
        let gone = Error::NotFound {
            path: "a".to_string(),
            source: "x".into(),
        };
        assert!(matches!(plain(gone), Error::NotFound { .. }));
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let error = Err::<(), _>(Error::Generic {
            store: "S3",
            source: Box::new(Said("no answer".to_string())),
        });
        let error = error.context("cannot open the table").expect_err("is one");
        assert_eq!(
            sentence(&error),
            "cannot open the table: Generic S3 error: no answer"
        );
    }
}
