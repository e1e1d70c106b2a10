//! Agora's vendor and region numbers, the names customers write for them, and the hosts that give them away.
//!
//! The numbers and region codes are data: `schemas/storage_vendors.v1.json`, embedded at build and parsed once.
//! Every region keeps how sure its code is, because a region mismatch may only be claimed between codes that
//! are certain or likely on both sides.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Deserialize;

/// Amazon S3's number.
pub const AMAZON_S3: i32 = 1;

/// The number of any store that speaks S3; its endpoint says which.
pub const S3_COMPATIBLE: i32 = 11;

/// The slug of a vendor number, as `vendor_name` columns hold it.
pub fn slug(vendor: i32) -> Option<&'static str> {
    by_number(vendor)?.slug
}

/// The vendor's own region code for Agora's region number.
pub fn region_code(vendor: i32, number: i32) -> Option<&'static str> {
    region(vendor, number)?.region_code
}

/// The vendor's own region code, where it is sure enough to tell two places apart by it.
pub fn sure_region_code(vendor: i32, number: i32) -> Option<&'static str> {
    let region = region(vendor, number)?;
    matches!(region.confidence, Confidence::Certain | Confidence::Likely)
        .then_some(region.region_code)?
}

/// All that is known of a region number of a vendor.
pub fn region(vendor: i32, number: i32) -> Option<&'static Region<'static>> {
    let regions = &by_number(vendor)?.regions;
    regions.iter().find(|region| region.number == number)
}

/// The vendor's own region code for what its notifications say: a code, or a name that stands for one.
pub fn region_code_of_event(vendor: i32, written: &str) -> &str {
    let regions = by_number(vendor).map_or(&[][..], |vendor| vendor.regions.as_slice());
    let region = regions
        .iter()
        .find(|region| region.event_short_region == Some(written));
    region
        .and_then(|region| region.region_code)
        .unwrap_or(written)
}

/// The vendors in the order of their numbers, those that no source names included.
pub fn vendors() -> &'static [Vendor<'static>] {
    &VENDORS
}

/// Reads a vendor as people write it: its slug, its URI scheme, its name, a usual alias, or the number as text.
pub fn from_text(text: &str) -> Option<i32> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return by_number(number).and(Some(number));
    }
    let is = |name: Option<&str>| name.is_some_and(|name| name.eq_ignore_ascii_case(text));
    let alias = ALIASES.iter().find(|(alias, _)| is(Some(alias)));
    alias.map(|(_, vendor)| *vendor).or_else(|| {
        let named = VENDORS.iter().find(|vendor| is(vendor.slug));
        let named = named.or_else(|| VENDORS.iter().find(|vendor| is(vendor.name)));
        named
            .or_else(|| VENDORS.iter().find(|vendor| is(vendor.uri_scheme)))
            .map(|vendor| vendor.id)
    })
}

/// Reads the vendor from a URL: from a scheme that only storage uses (`oss://`, `gs://`), else from its host.
///
/// `s3://` is read as Amazon S3, although S3-compatible stores write it too.
pub fn from_url(url: &str) -> Option<i32> {
    if let Some((scheme, _)) = url.trim().split_once("://") {
        let by_scheme = |vendor: &&Vendor<'_>| {
            let known = vendor.uri_scheme;
            known.is_some_and(|known| known.eq_ignore_ascii_case(scheme))
        };
        if let Some(vendor) = VENDORS.iter().find(by_scheme) {
            return Some(vendor.id);
        }
    }
    from_host(&host(url)?)
}

/// Reads the vendor from a host, with or without port (state records, section 4). Custom domains give none.
pub fn from_host(host: &str) -> Option<i32> {
    let name = host.trim().trim_end_matches('.');
    let name = match name.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    let name = name.to_ascii_lowercase();
    for domain in ["amazonaws.com", "amazonaws.com.cn"] {
        if let Some(rest) = below(&name, domain)
            && (rest.starts_with("s3") || rest.contains(".s3"))
        {
            return Some(1);
        }
    }
    HOSTS
        .iter()
        .find(|(domain, _)| below(&name, domain).is_some())
        .map(|(_, vendor)| *vendor)
        .or_else(|| (name == "storage.googleapis.com").then_some(6))
}

/// Reads Agora's region number from a host of Amazon S3; the global host is in us-east-1.
pub fn s3_region(host: &str) -> Option<i32> {
    let host = host.split(':').next()?;
    if host == "s3.amazonaws.com" {
        return Some(0);
    }
    let regions = by_number(AMAZON_S3)?.regions.iter();
    let mut named = regions.filter(|region| {
        let code = region.region_code.unwrap_or_default();
        let at = host.find(code).filter(|at| *at > 0 && !code.is_empty());
        at.is_some_and(|at| {
            let (before, after) = (&host[..at], &host[at + code.len()..]);
            before.ends_with(['.', '-']) && after.starts_with(".amazonaws.com")
        })
    });
    named.next().map(|region| region.number)
}

/// Returns `host` or `host:port` of a URL or of a bare endpoint, lower case; scheme, user info and path dropped.
pub fn host(url: &str) -> Option<Cow<'_, str>> {
    let url = url.trim_ascii();
    let rest = &url[authority_at(url)..];
    let ends = |byte: u8| matches!(byte, b'/' | b'?' | b'#' | b'\\');
    let end = rest.bytes().position(ends).unwrap_or(rest.len());
    let authority = &rest[..end];
    let user_end = memchr::memrchr(b'@', authority.as_bytes()).map_or(0, |at| at + 1);
    let host = &authority[user_end..];
    if host.is_empty() {
        None
    } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some(Cow::Owned(host.to_ascii_lowercase()))
    } else {
        Some(Cow::Borrowed(host))
    }
}

/// Returns where the authority of a URL begins: behind `scheme://` or `//`, else at the start.
pub fn authority_at(url: &str) -> usize {
    let colon = memchr::memchr(b':', url.as_bytes());
    match colon.filter(|colon| url[colon + 1..].starts_with("//")) {
        Some(colon) => colon + 3,
        None if url.starts_with("//") => 2,
        None => 0,
    }
}

/// A storage vendor of the recording service.
#[derive(Debug, Deserialize)]
pub struct Vendor<'t> {
    /// Agora's number, `storageConfig.vendor`.
    pub id: i32,
    /// Full name; none for numbers that no source names.
    #[serde(borrow)]
    pub name: Option<&'t str>,
    pub slug: Option<&'t str>,
    pub uri_scheme: Option<&'t str>,
    pub regions: Vec<Region<'t>>,
}

/// What a region number of one vendor means.
#[derive(Debug, Deserialize)]
pub struct Region<'t> {
    /// Agora's number, `storageConfig.region`.
    pub number: i32,
    /// The vendor's own code; none where the vendor has no regions or no source says.
    #[serde(borrow)]
    pub region_code: Option<&'t str>,
    /// What the vendor's notifications call it, where they do not use the code.
    pub event_short_region: Option<&'t str>,
    pub confidence: Confidence,
}

/// How sure a region's code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The same name on both sides.
    Certain,
    /// A widely used spelling that Agora does not restate.
    Likely,
    /// A reading of an odd label.
    Inferred,
    /// No source names it.
    Unknown,
    /// A number that is no region.
    NotARegion,
}

static VENDORS: LazyLock<Vec<Vendor<'static>>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Table<'t> {
        #[serde(borrow)]
        vendors: Vec<Vendor<'t>>,
    }
    let text: &'static str = include_str!("../schemas/storage_vendors.v1.json");
    let mut table: Table<'static> =
        serde_json::from_str(text).expect("the embedded table is tested");
    table.vendors.sort_by_key(|vendor| vendor.id);
    table.vendors
});

/// What customers write for a vendor beside slug, scheme and name.
const ALIASES: [(&str, i32); 14] = [
    ("aws", 1),
    ("amazon", 1),
    ("aliyun", 2),
    ("alibaba", 2),
    ("tencent", 3),
    ("qcloud", 3),
    ("kingsoft", 4),
    ("ksyun", 4),
    ("azure", 5),
    ("google", 6),
    ("huawei", 7),
    ("baidu", 8),
    ("minio", 11),
    ("s3-compatible", 11),
];

/// Domains under which a vendor's buckets live; `amazonaws.com` needs more than the domain.
const HOSTS: [(&str, i32); 11] = [
    ("aliyuncs.com", 2),
    ("myqcloud.com", 3),
    ("blob.core.windows.net", 5),
    ("storage.googleapis.com", 6),
    ("myhuaweicloud.com", 7),
    ("bcebos.com", 8),
    ("ksyuncs.com", 4),
    ("ksyun.com", 4),
    ("qiniucs.com", 0),
    ("qiniudn.com", 0),
    ("clouddn.com", 0),
];

fn by_number(vendor: i32) -> Option<&'static Vendor<'static>> {
    // Numbers are dense from 0, so the place is nearly always the number.
    let guess = usize::try_from(vendor)
        .ok()
        .and_then(|place| VENDORS.get(place));
    match guess {
        Some(found) if found.id == vendor => Some(found),
        _ => VENDORS.iter().find(|known| known.id == vendor),
    }
}

/// Returns what stands before `.domain`, where something does.
fn below<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let rest = host.strip_suffix(domain)?.strip_suffix('.')?;
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_slugs_and_regions() {
        let slugs: Vec<_> = vendors().iter().filter_map(|vendor| vendor.slug).collect();
        assert_eq!(
            slugs,
            [
                "qiniu", "s3", "oss", "cos", "ks3", "azblob", "gcs", "obs", "bos", "s3compat"
            ]
        );
        assert_eq!(slug(9), None);
        assert_eq!(slug(-1), None);
        assert_eq!(region_code(1, 0), Some("us-east-1"));
        assert_eq!(region_code(2, 3), Some("cn-beijing"));
        assert_eq!(region_code(2, 18), None);
        assert_eq!(region_code(5, 0), None);
        assert_eq!(region_code(1, i32::MAX), None);
    }

    #[test]
    fn regions_say_how_sure_they_are() {
        let confidence = |vendor, number| region(vendor, number).map(|region| region.confidence);
        assert_eq!(confidence(2, 0), Some(Confidence::Certain));
        assert_eq!(confidence(4, 0), Some(Confidence::Inferred));
        assert_eq!(confidence(1, 26), Some(Confidence::NotARegion));
        assert_eq!(confidence(1, 99), None);
    }

    #[test]
    fn regions_are_read_from_hosts_of_amazon() {
        for (host, region) in [
            ("s3.amazonaws.com", Some(0)),
            ("s3-us-west-2.amazonaws.com", Some(3)),
            ("s3.dualstack.eu-west-1.amazonaws.com:443", Some(4)),
            ("s3.us-gov-west-1.amazonaws.com", Some(17)),
            ("s3.cn-north-1.amazonaws.com.cn", Some(15)),
            ("s3.mars-1.amazonaws.com", None),
        ] {
            assert_eq!(s3_region(host), region, "{host}");
        }
        assert_eq!(sure_region_code(1, 4), Some("eu-west-1"));
        assert_eq!(sure_region_code(4, 0), None);
        assert_eq!(sure_region_code(5, 0), None);
    }

    #[test]
    fn vendors_are_read_from_what_people_write() {
        for (text, vendor) in [
            ("oss", Some(2)),
            ("S3", Some(1)),
            (" aliyun ", Some(2)),
            ("Amazon S3", Some(1)),
            ("gs", Some(6)),
            ("s3compat", Some(11)),
            ("2", Some(2)),
            ("0", Some(0)),
            ("99", None),
            ("", None),
            ("dropbox", None),
        ] {
            assert_eq!(from_text(text), vendor, "{text}");
        }
    }

    #[test]
    fn vendors_are_read_from_hosts() {
        for (host, vendor) in [
            ("acme.oss-cn-hangzhou.aliyuncs.com", Some(2)),
            ("s3.amazonaws.com", Some(1)),
            ("s3-us-west-2.amazonaws.com", Some(1)),
            ("acme.S3.eu-west-1.amazonaws.com:443", Some(1)),
            ("acme.s3.cn-north-1.amazonaws.com.cn", Some(1)),
            ("sns.us-east-1.amazonaws.com", None),
            ("acme-1250000000.cos.ap-chengdu.myqcloud.com", Some(3)),
            ("acme.blob.core.windows.net", Some(5)),
            ("storage.googleapis.com", Some(6)),
            ("acme.storage.googleapis.com", Some(6)),
            ("acme.obs.cn-north-4.myhuaweicloud.com", Some(7)),
            ("acme.bj.bcebos.com", Some(8)),
            ("acme.ks3-cn-beijing.ksyuncs.com", Some(4)),
            ("acme.clouddn.com", Some(0)),
            ("notaliyuncs.com", None),
            ("aliyuncs.com", None),
            ("minio.acme.example:9000", None),
            ("", None),
        ] {
            assert_eq!(from_host(host), vendor, "{host}");
        }
    }

    #[test]
    fn vendors_are_read_from_urls() {
        assert_eq!(
            from_url("https://acme.oss-cn-beijing.aliyuncs.com/a/b.m3u8?x=1"),
            Some(2)
        );
        assert_eq!(from_url("oss://acme/a/b.m3u8"), Some(2));
        assert_eq!(from_url("s3://acme/a/b.m3u8"), Some(1));
        assert_eq!(from_url("https://cdn.acme.example/a/b.m3u8"), None);
        assert_eq!(from_url("/a/b.m3u8"), None);
    }

    #[test]
    fn hosts_come_without_scheme_user_and_path() {
        assert_eq!(
            host("https://u:p@Minio.Acme.example:9000/b?x").as_deref(),
            Some("minio.acme.example:9000")
        );
        assert_eq!(
            host("minio.acme.example").as_deref(),
            Some("minio.acme.example")
        );
        assert_eq!(host("//cdn.example/a").as_deref(), Some("cdn.example"));
        assert_eq!(host("/v1/apps"), None);
        assert_eq!(host(" "), None);
    }
}
