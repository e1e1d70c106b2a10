//! What `proxy` passes on and where it keeps what it has seen.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use bytesize::ByteSize;
use serde::Deserialize;
use url::Url;

use super::check::names_a_port;

/// The proxy's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// Address that the backend uses as its API base URL.
    pub listen: String,
    /// Address of `/metrics`, `/healthz` and `/readyz`; `""` switches them off.
    pub http: String,
    /// The service: calls go there as they came.
    pub upstream: String,
    /// Directory of the events that Kafka does not have yet; of one process alone.
    pub spool: PathBuf,
    /// Bound on that directory; events beyond it are not kept, and counted.
    #[serde(with = "super::human_size")]
    pub spool_bytes_max: ByteSize,
    /// What every event says of the backend: `service`, `region`, `environment`, `version`, ...
    pub caller: BTreeMap<String, String>,
    /// With `--enforce`: by app id, the storage that its starts may name; an app that is left out may name any.
    pub storage: BTreeMap<String, Vec<AllowedStorage>>,
}

/// A place that recordings may go to. What is left out may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedStorage {
    /// Agora's vendor number, or the vendor's name.
    #[serde(with = "super::vendor_number")]
    pub vendor: i32,
    pub bucket: String,
    pub region: Option<i32>,
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy {
            listen: "127.0.0.1:9467".to_string(),
            http: "127.0.0.1:9468".to_string(),
            upstream: "https://api.agora.io".to_string(),
            spool: PathBuf::from("./spool"),
            spool_bytes_max: ByteSize::gb(1),
            caller: BTreeMap::new(),
            storage: BTreeMap::new(),
        }
    }
}

impl Proxy {
    pub(super) fn check(&self) -> Result<()> {
        if !names_a_port(&self.listen) {
            bail!(
                "proxy.listen: `{}` is no address; write \"127.0.0.1:9467\"",
                self.listen
            );
        }
        if !self.http.is_empty() && !names_a_port(&self.http) {
            bail!(
                "proxy.http: `{}` is no address; write \"127.0.0.1:9468\", or \"\" for none",
                self.http
            );
        }
        if self.listen == self.http {
            bail!(
                "proxy.http: is the address of proxy.listen, where calls are passed on; choose another port"
            );
        }
        let upstream = Url::parse(&self.upstream).ok();
        let is_base = |url: &Url| {
            let has_extras = url.query().is_some() || url.fragment().is_some();
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && !has_extras
        };
        if !upstream.as_ref().is_some_and(is_base) {
            bail!(
                "proxy.upstream: is no base URL; write \"https://api.agora.io\" or \"https://api.sd-rtn.com\", without a login"
            );
        }
        if self.spool_bytes_max < ByteSize::mb(16) {
            bail!(
                "proxy.spool_bytes_max: must be at least 16MB, for example \"1GB\": events wait there while Kafka is away"
            );
        }
        for (app, places) in &self.storage {
            if places.is_empty() {
                bail!(
                    "proxy.storage.{app}: names no place, so that no start would go through; name one, or leave the app out"
                );
            }
        }
        Ok(())
    }
}
