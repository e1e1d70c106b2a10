//! What `serve` takes over HTTP, and from whom.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use bytesize::ByteSize;
use ipnet::IpNet;
use serde::Deserialize;

use super::check::names_a_port;

/// The server's settings; its secrets are in the environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Address of `/webhooks` and `/api-calls`: what a TLS proxy passes on from outside.
    pub receive: String,
    /// Address of `/metrics`, `/healthz` and `/readyz`; `""` switches them off.
    pub http: String,
    /// Callbacks without a signature that fits are refused.
    pub require_signature: bool,
    /// File with the addresses that callbacks may come from, read again when it changes; without it any.
    pub senders: Option<PathBuf>,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Bound on the requests under way; more are told to try again.
    pub requests_max: usize,
    /// Bound on the body of a request. Times `requests_max` it bounds the memory.
    #[serde(with = "super::human_size")]
    pub body_bytes_max: ByteSize,
}

impl Default for Serve {
    fn default() -> Self {
        Serve {
            receive: "127.0.0.1:9466".to_string(),
            http: "127.0.0.1:9465".to_string(),
            require_signature: true,
            senders: None,
            trusted_proxies: Vec::new(),
            requests_max: 256,
            body_bytes_max: ByteSize::mb(1),
        }
    }
}

impl Serve {
    pub(super) fn check(&self) -> Result<()> {
        if !names_a_port(&self.receive) {
            bail!(
                "serve.receive: `{}` is no address; write \"127.0.0.1:9466\"",
                self.receive
            );
        }
        if !self.http.is_empty() && !names_a_port(&self.http) {
            bail!(
                "serve.http: `{}` is no address; write \"127.0.0.1:9465\", or \"\" for none",
                self.http
            );
        }
        if self.receive == self.http {
            bail!(
                "serve.http: is the address of serve.receive, which others reach; choose another port, so that they do not see the metrics"
            );
        }
        for proxy in &self.trusted_proxies {
            if network(proxy).is_none() {
                bail!(
                    "serve.trusted_proxies: `{proxy}` is neither an address nor a network; write \"10.0.0.1\" or \"10.0.0.0/8\""
                );
            }
        }
        if !(1..=65_536).contains(&self.requests_max) {
            bail!("serve.requests_max: must be from 1 to 65536, for example 256");
        }
        if !(ByteSize::kb(16)..=ByteSize::mb(16)).contains(&self.body_bytes_max) {
            bail!(
                "serve.body_bytes_max: must be from 16kB to 16MB, for example \"1MB\"; brokers have a bound of their own (message.max.bytes)"
            );
        }
        Ok(())
    }
}

/// Reads an address, `192.0.2.7`, or a network, `192.0.2.0/24`.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}
