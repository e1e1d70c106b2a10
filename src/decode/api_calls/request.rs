//! Body of a request: who records, and where to (API facts, section 2).

use std::borrow::Cow;

use serde::Deserialize;

use super::super::scalar::{Int, List, Object, Text};
use super::super::time::Instant;
use crate::event::Micros;
use crate::vendor;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RequestBody<'a> {
    #[serde(borrow)]
    pub(super) cname: Text<'a>,
    pub(super) uid: Text<'a>,
    pub(super) client_request: Object<Box<ClientRequest<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ClientRequest<'a> {
    #[serde(borrow)]
    pub(super) storage_config: Object<StorageConfig<'a>>,
    pub(super) start_parameter: Object<Box<StartParameter<'a>>>,
    pub(super) recording_file_config: Object<RecordingFileConfig<'a>>,
    pub(super) exclude_resource_ids: List<Text<'a>>,
    pub(super) resource_expired_hour: Int,
    pub(super) region: Text<'a>,
    pub(super) region_affinity: Text<'a>,
}

/// `acquire.startParameter`: a copy of the later start, of which only the storage is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StartParameter<'a> {
    #[serde(borrow)]
    pub(super) storage_config: Object<StorageConfig<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RecordingFileConfig<'a> {
    #[serde(borrow)]
    pub(super) av_file_type: List<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StorageConfig<'a> {
    vendor: Int,
    region: Int,
    #[serde(borrow)]
    bucket: Text<'a>,
    file_name_prefix: List<Text<'a>>,
    /// Put beside `accessKey` by redaction.
    #[serde(rename = "access_key_fingerprint")]
    access_key_fingerprint: Text<'a>,
    sts_expiration: Instant,
    extension_params: Object<ExtensionParams<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExtensionParams<'a> {
    #[serde(borrow)]
    endpoint: Text<'a>,
}

/// Where a call wants its files, as the columns of a row hold it.
#[derive(Debug, Default)]
pub(super) struct Storage<'a> {
    pub(super) vendor: Option<i32>,
    pub(super) vendor_name: Option<Cow<'a, str>>,
    pub(super) region: Option<i32>,
    pub(super) region_code: Option<Cow<'a, str>>,
    pub(super) bucket: Option<Cow<'a, str>>,
    pub(super) endpoint: Option<Cow<'a, str>>,
    pub(super) prefix: Option<Cow<'a, str>>,
    pub(super) access_key_fingerprint: Option<Cow<'a, str>>,
    pub(super) sts_expires_at: Option<Micros>,
}

impl<'a> From<StorageConfig<'a>> for Storage<'a> {
    fn from(config: StorageConfig<'a>) -> Self {
        let params = config.extension_params.0.unwrap_or_default();
        let endpoint = params.endpoint.0.and_then(host);
        let (vendor, region) = match (config.vendor.0, endpoint.as_deref()) {
            // An endpoint of Amazon's is plain Amazon S3 (storage vendors, vendor 11).
            (Some(vendor::S3_COMPATIBLE), Some(host))
                if vendor::from_host(host) == Some(vendor::AMAZON_S3) =>
            {
                (Some(vendor::AMAZON_S3), vendor::s3_region(host))
            }
            (vendor, _) => (vendor, config.region.0),
        };
        let region_code = vendor.zip(region);
        let region_code =
            region_code.and_then(|(vendor, region)| vendor::region_code(vendor, region));
        Storage {
            vendor,
            vendor_name: vendor.and_then(vendor::slug).map(Cow::Borrowed),
            region,
            region_code: region_code.map(Cow::Borrowed),
            bucket: config.bucket.filled(),
            endpoint,
            prefix: prefix(config.file_name_prefix.into_items()),
            access_key_fingerprint: config.access_key_fingerprint.filled(),
            // 0 is the unset field of generated clients.
            sts_expires_at: config.sts_expiration.micros().filter(|at| *at != 0),
        }
    }
}

/// Joins the elements of a prefix by slashes; none stand at the ends, so that it compares with object keys.
fn prefix<'a>(elements: Vec<Text<'a>>) -> Option<Cow<'a, str>> {
    let length = elements
        .iter()
        .map(|element| element.as_deref().map_or(0, |text| text.len() + 1))
        .sum();
    let mut elements = elements.into_iter().filter_map(Text::filled);
    let first = elements.next()?;
    let joined = match elements.next() {
        None => first,
        Some(second) => {
            let mut joined = String::with_capacity(length);
            joined.push_str(&first);
            for element in std::iter::once(second).chain(elements) {
                joined.push('/');
                joined.push_str(&element);
            }
            Cow::Owned(joined)
        }
    };
    Some(trim_slashes(joined)).filter(|prefix| !prefix.is_empty())
}

fn trim_slashes(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches('/')),
        Cow::Owned(text) if text.starts_with('/') || text.ends_with('/') => {
            Cow::Owned(text.trim_matches('/').to_owned())
        }
        owned => owned,
    }
}

/// Returns the host of an endpoint, with its port unless that is the usual one, so that two writings of one compare.
fn host(endpoint: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match endpoint {
        Cow::Borrowed(text) => host_of(text),
        Cow::Owned(text) => host_of(&text).map(|host| Cow::Owned(host.into_owned())),
    }
}

fn host_of(endpoint: &str) -> Option<Cow<'_, str>> {
    let is_http = endpoint
        .trim_ascii_start()
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    // An endpoint without a scheme is called by HTTPS.
    let usual_port = if is_http { ":80" } else { ":443" };
    match vendor::host(endpoint)? {
        Cow::Borrowed(host) => Some(Cow::Borrowed(host.strip_suffix(usual_port).unwrap_or(host))),
        Cow::Owned(mut host) => {
            if host.ends_with(usual_port) {
                host.truncate(host.len() - usual_port.len());
            }
            Some(Cow::Owned(host))
        }
    }
    .filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_lose_the_usual_port() {
        for (endpoint, expected) in [
            ("minio.acme.example", "minio.acme.example"),
            ("minio.acme.example:443", "minio.acme.example"),
            ("https://minio.acme.example:443/", "minio.acme.example"),
            ("HTTPS://Minio.acme.example:443", "minio.acme.example"),
            ("http://minio.acme.example:80", "minio.acme.example"),
            ("HTTP://Minio.acme.example:80/x", "minio.acme.example"),
            ("minio.acme.example:80", "minio.acme.example:80"),
            ("http://minio.acme.example:443", "minio.acme.example:443"),
            ("https://minio.acme.example:9443", "minio.acme.example:9443"),
            ("minio.acme.example:1443", "minio.acme.example:1443"),
            ("[2001:db8::443]", "[2001:db8::443]"),
        ] {
            assert_eq!(host(Cow::Borrowed(endpoint)).as_deref(), Some(expected));
            let owned = Cow::Owned(endpoint.to_owned());
            assert_eq!(host(owned).as_deref(), Some(expected), "{endpoint}");
        }
        assert_eq!(host(Cow::Borrowed("https://:443")), None);
    }
}
