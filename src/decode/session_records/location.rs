//! Where a customer expects a file: URLs of many styles, and bare object keys.

use crate::decode::object_key;
use crate::decode::storage_events::key_encoding::percent_decoded;

/// Schemes whose authority is the bucket; in any other URL it is a host.
const BUCKET_SCHEMES: [&str; 6] = ["s3", "oss", "gs", "cos", "obs", "bos"];

/// Hosts without a bucket: what stands before and after their region.
const PATH_STYLE_HOSTS: [(&str, &str); 5] = [
    ("", ".bcebos.com"),
    ("s3.", ".bcebos.com"),
    ("oss-", ".aliyuncs.com"),
    ("cos.", ".myqcloud.com"),
    ("obs.", ".myhuaweicloud.com"),
];

/// Returns the URL without user info, query and fragment: these carry tokens and signatures.
///
/// A bare key may hold `?` and `#` as part of a channel's name; there only what looks like a query goes.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once("://") else {
        let end = url
            .find('?')
            .filter(|at| url[*at..].contains('='))
            .unwrap_or(url.len());
        return url[..end].to_string();
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let rest = &rest[..end];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Returns the key of the object that a URL without query names, decoded; none where it names no file that the
/// service writes, a page of the customer's application for one.
pub(super) fn object_key(url: &str, bucket: Option<&str>) -> Option<String> {
    let key = match url.split_once("://") {
        None => url.trim_start_matches('/').to_string(),
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            if names_bucket(scheme) {
                path.to_string()
            } else {
                let path = percent_decoded(path)?;
                match path.split_once('/') {
                    Some((first, key)) if is_path_style(authority) || bucket == Some(first) => {
                        key.to_string()
                    }
                    _ => path,
                }
            }
        }
    };
    object_key::parse(&key).file_type.is_some().then_some(key)
}

/// Returns the bucket that a URL names by its scheme, host or path; none where it names no file that the service
/// writes, and for a domain of the customer's own.
pub(super) fn bucket(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/')?;
    object_key(url, None)?;
    if names_bucket(scheme) {
        return Some(authority.to_string());
    }
    let host = authority.to_ascii_lowercase();
    let host = host.split(':').next()?;
    let name = if is_path_style(host) {
        path.split_once('/').map(|(first, _)| first)
    } else {
        in_host(host)
    };
    name.filter(|name| !name.is_empty()).map(str::to_string)
}

fn names_bucket(scheme: &str) -> bool {
    let mut known = BUCKET_SCHEMES.iter();
    known.any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Returns the bucket before the service's own part of a host.
fn in_host(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_suffix(".bcebos.com") {
        let (bucket, _) = rest.rsplit_once('.')?;
        return Some(bucket.strip_suffix(".s3").unwrap_or(bucket));
    }
    if let Some(bucket) = host.strip_suffix(".storage.googleapis.com") {
        return Some(bucket);
    }
    let services = [
        (".s3.", "amazonaws.com"),
        (".s3.", "amazonaws.com.cn"),
        (".s3-", "amazonaws.com"),
        (".oss-", "aliyuncs.com"),
        (".cos.", "myqcloud.com"),
        (".obs.", "myhuaweicloud.com"),
    ];
    let mut named = services.iter().filter_map(|(service, domain)| {
        let (bucket, region) = host.strip_suffix(domain)?.rsplit_once(service)?;
        // An access point is no bucket.
        (!region.starts_with("accesspoint")).then_some(bucket)
    });
    named.next()
}

/// Says whether the bucket is the first step of the path on this host, and not a part of its name.
fn is_path_style(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.split(':').next().unwrap_or_default();
    let is_s3 = host.starts_with("s3.") || host.starts_with("s3-");
    (is_s3 && host.contains(".amazonaws.com"))
        || host == "storage.googleapis.com"
        || host.ends_with(".blob.core.windows.net")
        || PATH_STYLE_HOSTS.iter().any(|(service, domain)| {
            let region = host.strip_prefix(service);
            let region = region.and_then(|rest| rest.strip_suffix(domain));
            region.is_some_and(|region| !region.is_empty() && !region.contains('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_user_query_and_fragment() {
        for (url, clean) in [
            (
                "https://u:p@h.example/a/b.mp4?sig=1#t",
                "https://h.example/a/b.mp4",
            ),
            ("https://h.example?x=1", "https://h.example"),
            ("s3://acme/a/b.mp4", "s3://acme/a/b.mp4"),
            ("/a/b.mp4?sig=1", "/a/b.mp4"),
            ("a/room?#1.mp4", "a/room?#1.mp4"),
        ] {
            assert_eq!(without_secrets(url), clean);
        }
    }

    #[test]
    fn buckets_come_from_the_hosts_of_vendors() {
        for (host, named) in [
            ("https://acme.oss-cn-beijing.aliyuncs.com", Some("acme")),
            ("https://a.b.s3.eu-west-1.amazonaws.com", Some("a.b")),
            ("https://acme.s3-us-west-2.amazonaws.com", Some("acme")),
            ("https://acme.s3.amazonaws.com", Some("acme")),
            ("https://acme.s3.cn-north-1.amazonaws.com.cn", Some("acme")),
            ("https://s3.eu-west-1.amazonaws.com/acme", Some("acme")),
            ("https://p-1.s3-accesspoint.eu-west-1.amazonaws.com", None),
            (
                "https://acme-125.cos.ap-beijing.myqcloud.com",
                Some("acme-125"),
            ),
            (
                "https://acme.obs.cn-north-4.myhuaweicloud.com",
                Some("acme"),
            ),
            ("https://acme.su.bcebos.com", Some("acme")),
            ("https://acme.s3.bj.bcebos.com", Some("acme")),
            ("https://bj.bcebos.com/acme", Some("acme")),
            ("https://s3.bj.bcebos.com/acme", Some("acme")),
            (
                "https://obs.cn-north-4.myhuaweicloud.com/acme",
                Some("acme"),
            ),
            (
                "https://obs.obs.cn-north-4.myhuaweicloud.com/x",
                Some("obs"),
            ),
            (
                "https://cos.ap-beijing.myqcloud.com/acme-125",
                Some("acme-125"),
            ),
            ("https://cos.cos.ap-beijing.myqcloud.com/x", Some("cos")),
            ("https://oss-cn-beijing.aliyuncs.com/acme", Some("acme")),
            (
                "https://oss-cn-beijing-internal.aliyuncs.com:443/acme",
                Some("acme"),
            ),
            ("https://oss-x.oss-cn-beijing.aliyuncs.com/x", Some("oss-x")),
            ("https://storage.googleapis.com/acme", Some("acme")),
            ("https://acme.storage.googleapis.com", Some("acme")),
            ("https://x.blob.core.windows.net/acme", Some("acme")),
            ("s3://acme", Some("acme")),
            ("https://cdn.example", None),
        ] {
            assert_eq!(
                bucket(&format!("{host}/a/b.mp4")).as_deref(),
                named,
                "{host}"
            );
        }
        assert_eq!(bucket("https://acme.s3.amazonaws.com/recordings/17"), None);
        assert_eq!(bucket("a/b.mp4"), None);
    }

    #[test]
    fn keys_come_from_all_styles_of_urls() {
        for (url, key) in [
            (
                "https://acme.oss-cn-beijing.aliyuncs.com/a/b%20c.mp4",
                Some("a/b c.mp4"),
            ),
            (
                "https://s3.eu-west-1.amazonaws.com/acme/a/b.mp4",
                Some("a/b.mp4"),
            ),
            (
                "https://acme.s3.eu-west-1.amazonaws.com/a/b+c.mp4",
                Some("a/b+c.mp4"),
            ),
            (
                "https://storage.googleapis.com/acme/a/b.mp4",
                Some("a/b.mp4"),
            ),
            (
                "https://x.blob.core.windows.net/acme/a/b.mp4",
                Some("a/b.mp4"),
            ),
            ("https://bj.bcebos.com/other/a/b.mp4", Some("a/b.mp4")),
            (
                "https://cos.ap-beijing.myqcloud.com/other-125/a/b.mp4",
                Some("a/b.mp4"),
            ),
            (
                "https://oss-cn-beijing.aliyuncs.com/other/a/b.mp4",
                Some("a/b.mp4"),
            ),
            (
                "https://obs.cn-north-4.myhuaweicloud.com/other/a/b.mp4",
                Some("a/b.mp4"),
            ),
            (
                "https://other.obs.cn-north-4.myhuaweicloud.com/a/b.mp4",
                Some("a/b.mp4"),
            ),
            ("https://minio.example:9000/acme/a/b.mp4", Some("a/b.mp4")),
            ("https://cdn.example/a/b.mp4", Some("a/b.mp4")),
            ("s3://acme/a/100%.mp4", Some("a/100%.mp4")),
            ("/a/b.mp4", Some("a/b.mp4")),
            ("https://app.example/recordings/17", None),
            ("https://app.example", None),
        ] {
            assert_eq!(object_key(url, Some("acme")).as_deref(), key, "{url}");
        }
    }
}
