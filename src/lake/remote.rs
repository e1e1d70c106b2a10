//! Lakes on object stores: Amazon S3 and what speaks like it, Google Cloud Storage, Azure. Endpoint and credentials
//! come from the environment, by the names that `object_store` and the tools of each cloud know: `AWS_ENDPOINT`,
//! `AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME` and so on.
//!
//! A commit is a conditional PUT of the next version's file, which exists in all three clouds. So `deltalake`'s own
//! log store serves; its packages for the clouds, which bring the SDK of each, are not needed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use deltalake::DeltaResult;
use deltalake::logstore::{
    LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories,
};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{Error, ObjectStore, RetryConfig};
use url::Url;

use super::plain::with_plain_errors;

/// How long a request is tried again that a store did not answer, or put off. Consumers try for ever, saying so each
/// time; a person wants to know.
const RETRIED_FOR: Duration = Duration::from_secs(15);

/// Says whether a lake is in an object store.
pub(super) fn is_remote(url: &Url) -> bool {
    !matches!(url.scheme(), "file" | "memory")
}

/// Opens the object store of a lake, rooted at its bucket, and returns it with the URL of the lake, which ends with a
/// slash. Asks for nothing.
pub(super) fn open(mut url: Url) -> Result<(Arc<dyn ObjectStore>, Url)> {
    let scheme = url.scheme().to_string();
    // The text of the URL must not be in these errors: it may hold a secret.
    ensure!(
        url.password().is_none() && (url.username().is_empty() || scheme.starts_with("abfs")),
        "lake: credentials in the URL would be seen by everybody who sees the command line; give them in the environment, as {}",
        variables(&scheme)
    );
    ensure!(
        url.query().is_none() && url.fragment().is_none(),
        "lake: a URL ends with the path of the lake; settings of the store come from the environment, as {}",
        variables(&scheme)
    );
    // The time decides alone: ten tries, the default, may be over within three seconds.
    let retry = RetryConfig {
        max_retries: usize::MAX,
        retry_timeout: RETRIED_FOR,
        ..RetryConfig::default()
    };
    let of_bucket = || match url.host_str() {
        Some(_) => Ok(url.as_str()),
        None => Err(anyhow!("lake: `{url}` names no bucket")),
    };
    let store: Result<Arc<dyn ObjectStore>, Error> = match scheme.as_str() {
        "s3" | "s3a" => (AmazonS3Builder::from_env().with_url(of_bucket()?))
            .with_retry(retry)
            .build()
            .map(with_plain_errors),
        "gs" => (GoogleCloudStorageBuilder::from_env().with_url(of_bucket()?))
            .with_retry(retry)
            .build()
            .map(with_plain_errors),
        "az" | "abfs" | "abfss" => (MicrosoftAzureBuilder::from_env().with_url(of_bucket()?))
            .with_retry(retry)
            .build()
            .map(with_plain_errors),
        _ => bail!(
            "lake: there are no lakes at `{scheme}://`; give a directory, or a URL that begins with s3://, gs:// or az://"
        ),
    };
    let store = store.map_err(|error| {
        let cure = variables(&scheme);
        anyhow::Error::from(error).context(format!(
            "lake: the store of `{url}` cannot be used with what the environment says of it ({cure})"
        ))
    })?;
    ensure!(
        !url.path().contains('%'),
        "lake: `{url}` has a name that URLs write with `%`, which not every engine reads; use letters, digits, `-`, `_`, `.` and `=`"
    );
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    let of_scheme = Url::parse(&format!("{scheme}://")).expect("a scheme is a URL");
    logstore_factories().insert(of_scheme, Arc::new(PutIfAbsent));
    Ok((store, url))
}

/// Names the variables that a store is described by.
pub(super) fn variables(scheme: &str) -> &'static str {
    match scheme {
        "gs" => "GOOGLE_APPLICATION_CREDENTIALS",
        "az" | "abfs" | "abfss" => "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY",
        _ => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT, AWS_ALLOW_HTTP",
    }
}

/// Makes the log store of a table whose commits are conditional PUTs.
struct PutIfAbsent;

impl LogStoreFactory for PutIfAbsent {
    fn with_options(
        &self,
        prefixed_store: ObjectStoreRef,
        root_store: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(
            prefixed_store,
            root_store,
            location,
            options,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(lake: &str) -> String {
        let opened = open(lake.parse().expect("a URL"));
        format!("{:#}", opened.expect_err("refused"))
    }

    #[test]
    fn a_url_that_is_no_lake_is_refused_with_the_cure() {
        assert!(refused("ftp://bucket/lake").contains("no lakes at `ftp://`"));
        assert!(refused("s3:///lake").contains("names no bucket"));
        assert!(refused("s3://bucket/my%20lake").contains("`%`"));
        assert!(refused("s3://bucket/lake?region=x").contains("AWS_REGION"));
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_repeated() {
        for lake in [
            "s3://AKIA1:s3cr3t@bucket/lake",
            "s3://s3cr3t@bucket/lake",
            "s3://bucket/lake?secret=s3cr3t",
            "az://container/lake#s3cr3t",
        ] {
            let said = refused(lake);
            assert!(!said.contains("s3cr3t"), "{said}");
            assert!(said.contains("environment"), "{said}");
        }
    }

    #[test]
    fn a_bucket_is_a_lake_and_so_is_each_directory_of_it() {
        for (lake, expected) in [
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/a/b", "s3://bucket/a/b/"),
            ("s3://bucket/a/b/", "s3://bucket/a/b/"),
        ] {
            let (_, url) = open(lake.parse().expect("a URL")).expect("opens");
            assert_eq!(url.as_str(), expected);
            assert!(is_remote(&url));
        }
    }
}
