//! Who may send callbacks: the addresses of Agora's notification service, which change from day to day.
//!
//! The list is a file that something else keeps up to date, read again when it changes: addresses in any text, so that
//! the answer of `GET /v2/ncs/ip` can be stored as it is. It comes on top of signatures, never in their place.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::config::{Serve, network};

/// Set by proxies, who append the address that called them.
const FORWARDED_FOR: &str = "x-forwarded-for";

pub(super) struct Senders {
    /// Without a file everybody may send.
    file: Option<PathBuf>,
    listed: RwLock<Listed>,
    trusted_proxies: Vec<IpNet>,
}

#[derive(Default)]
struct Listed {
    networks: Vec<IpNet>,
    modified: Option<SystemTime>,
}

impl Senders {
    pub fn open(serve: &Serve) -> Result<Senders> {
        let listed = match &serve.senders {
            Some(file) => read(file).with_context(|| {
                format!(
                    "serve.senders: cannot use {}; write Agora's answer to GET /v2/ncs/ip there, or one address a line",
                    file.display()
                )
            })?,
            None => Listed::default(),
        };
        let proxies = serve.trusted_proxies.iter();
        Ok(Senders {
            file: serve.senders.clone(),
            listed: RwLock::new(listed),
            trusted_proxies: proxies.filter_map(|text| network(text)).collect(),
        })
    }

    pub fn are_listed(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file again where it has changed. One that cannot be read changes nothing.
    pub fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let modified = std::fs::metadata(file).and_then(|of| of.modified()).ok();
        if modified.is_some() && modified == self.read_listed().modified {
            return;
        }
        match read(file) {
            Ok(listed) => {
                tracing::info!(
                    networks = listed.networks.len(),
                    "the list of senders was read"
                );
                *self.listed.write().unwrap_or_else(PoisonError::into_inner) = listed;
            }
            Err(error) => {
                tracing::warn!("the list of senders stays as it was: {error:#}");
            }
        }
    }

    /// Returns who sent a request: who connected to us, or who a trusted proxy says connected to it.
    pub fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let is_trusted =
            |address: &IpAddr| self.trusted_proxies.iter().any(|of| of.contains(address));
        let mut sender = peer.to_canonical();
        let hops: Vec<&str> = (headers.get_all(FORWARDED_FOR).iter())
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        for hop in hops.iter().rev() {
            if !is_trusted(&sender) {
                break;
            }
            let Ok(address) = hop.trim().parse::<IpAddr>() else {
                break;
            };
            sender = address.to_canonical();
        }
        sender
    }

    pub fn allow(&self, sender: IpAddr) -> bool {
        !self.are_listed() || {
            let listed = self.read_listed();
            listed.networks.iter().any(|of| of.contains(&sender))
        }
    }

    fn read_listed(&self) -> std::sync::RwLockReadGuard<'_, Listed> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> Result<Listed> {
    let modified = std::fs::metadata(file)?.modified().ok();
    let networks = networks(&std::fs::read_to_string(file)?);
    if networks.is_empty() {
        bail!("it holds no address");
    }
    Ok(Listed { networks, modified })
}

/// Returns every address and network of a text.
fn networks(text: &str) -> Vec<IpNet> {
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/');
    text.split(|c| !is_part(c))
        // What a colon of JSON leaves behind.
        .map(|word| word.strip_prefix(':').unwrap_or(word))
        .filter(|word| word.contains(['.', ':']))
        .filter_map(network)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_lines_and_in_the_services_own_answer() {
        let answer = r#"{"data":{"service":{"hosts":[{"primaryIP":"192.0.2.7"},{"primaryIP": "2001:db8::1"}]}}}"#;
        let texts =
            |text: &str| -> Vec<String> { networks(text).iter().map(IpNet::to_string).collect() };
        assert_eq!(texts(answer), ["192.0.2.7/32", "2001:db8::1/128"]);
        let lines = "# senders, 2026-11-23\n192.0.2.0/24\n\n198.51.100.9 # backup\n";
        assert_eq!(texts(lines), ["192.0.2.0/24", "198.51.100.9/32"]);
        assert!(networks("{\"code\": 401, \"message\": \"Unauthorized\"}").is_empty());
    }

    fn senders(proxies: &[&str], listed: &str) -> Senders {
        Senders {
            file: Some(PathBuf::from("senders")),
            listed: RwLock::new(Listed {
                networks: networks(listed),
                modified: None,
            }),
            trusted_proxies: proxies.iter().filter_map(|text| network(text)).collect(),
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        let forwarded = "203.0.113.66, 192.0.2.7, 10.0.0.2";
        headers.insert(FORWARDED_FOR, forwarded.parse().expect("a header"));
        let from = |text: &str| text.parse::<IpAddr>().expect("an address");
        let behind = senders(&["10.0.0.0/8"], "192.0.2.7");
        // The nearest that is no proxy of ours; what stands before it, anybody could have written.
        assert_eq!(behind.sender(from("10.0.0.1"), &headers), from("192.0.2.7"));
        assert_eq!(
            behind.sender(from("::ffff:10.0.0.1"), &headers),
            from("192.0.2.7")
        );
        assert_eq!(
            behind.sender(from("203.0.113.5"), &headers),
            from("203.0.113.5")
        );
        let bare = senders(&[], "192.0.2.7");
        assert_eq!(bare.sender(from("10.0.0.1"), &headers), from("10.0.0.1"));
        assert!(behind.allow(from("192.0.2.7")) && !behind.allow(from("192.0.2.8")));
    }

    #[test]
    fn a_list_that_breaks_changes_nothing_and_a_new_one_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("senders");
        std::fs::write(&file, "192.0.2.7").expect("is written");
        let serve = Serve {
            senders: Some(file.clone()),
            ..Serve::default()
        };
        let senders = Senders::open(&serve).expect("opens");
        let allowed = |text: &str| senders.allow(text.parse().expect("an address"));
        std::fs::remove_file(&file).expect("is removed");
        senders.refresh();
        assert!(allowed("192.0.2.7"));
        std::fs::write(&file, "192.0.2.8").expect("is written");
        // Whatever the resolution of the store's clock.
        senders.listed.write().expect("not poisoned").modified = None;
        senders.refresh();
        assert!(allowed("192.0.2.8") && !allowed("192.0.2.7"));
        std::fs::write(&file, "no address at all").expect("is written");
        assert!(Senders::open(&serve).is_err());
    }
}
