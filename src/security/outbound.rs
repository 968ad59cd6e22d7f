//! Where the daemon may be sent by whoever can name an address: a URL that is
//! one, and no private network unless the config allows it. Without this a
//! receiver could be pointed at the daemon's own neighbours (server-side
//! request forgery).

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Networks that are not the public internet: IANA's special-purpose
/// registries for IPv4 and IPv6.
const NOT_PUBLIC: [&str; 23] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/9",
    "ff00::/8",
];
/// The longest URL.
const LONGEST_URL: usize = 2048;

/// Which addresses may be connected to.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    allowed: Vec<IpNet>,
    not_public: Vec<IpNet>,
}

/// An address that may not be used; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL that can be posted to. The URL is not repeated: it can hold a
    /// secret.
    #[error("take the URL: it {0}")]
    Url(&'static str),
    /// The address lies in a network that is not public.
    #[error("connect to {0}: it is no public address; allow its network with notify.allowed_networks")]
    NotPublic(IpAddr),
}

impl Addresses {
    /// All public addresses, and those of the `allowed` networks.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        let not_public = NOT_PUBLIC.iter().filter_map(|network| network.parse().ok()).collect();
        Addresses { allowed, not_public }
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// Where it may not.
    pub fn check(&self, address: IpAddr) -> Result<(), AddressError> {
        let inner = embedded(address);
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&inner));
        if within(&self.not_public) && !within(&self.allowed) {
            return Err(AddressError::NotPublic(address));
        }
        Ok(())
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated
/// (RFC 6052) or tunnelled (RFC 3056); else the address itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::from([a, b, c, d])
    };
    match Ipv6Addr::segments(&six) {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}

/// Checks a URL that is to be posted to.
///
/// # Errors
/// Where it is too long, is no URL with http or https and a host, or holds a
/// user name, password or fragment.
pub fn check_url(text: &str) -> Result<reqwest::Url, AddressError> {
    if text.len() > LONGEST_URL {
        return Err(AddressError::Url("is longer than 2048 characters"));
    }
    let url = reqwest::Url::parse(text)
        .map_err(|_| AddressError::Url("is none; write it like https://host/path"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(AddressError::Url("must begin with https:// or http:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Url("may hold no user name or password"));
    }
    if url.fragment().is_some() {
        return Err(AddressError::Url("may have no fragment; end it before the \"#\""));
    }
    Ok(url)
}

/// What may be shown of a URL: its path can be a secret.
pub fn shown_url(text: &str) -> String {
    match reqwest::Url::parse(text) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            let rest = if url.path() == "/" && url.query().is_none() { "/" } else { "/…" };
            format!("{}://{host}{port}{rest}", url.scheme())
        }
        Err(_) => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        assert_eq!(Addresses::new(Vec::new()).not_public.len(), NOT_PUBLIC.len(), "each network was read");
        let addresses = Addresses::new(vec!["10.1.0.0/16".parse().unwrap()]);
        let passes = |text: &str| addresses.check(text.parse().unwrap()).is_ok();
        for good in ["1.1.1.1", "2606:4700::1111", "10.1.2.3", "::ffff:10.1.2.3", "::ffff:8.8.8.8"] {
            assert!(passes(good), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "10.2.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "fec0::1",
        ] {
            assert!(!passes(bad), "{bad}");
        }
    }

    #[test]
    fn a_url_is_checked_and_its_path_not_shown() {
        assert!(check_url("https://hooks.example.com/services/T0/B0/secret").is_ok());
        for bad in
            ["ftp://a/", "https://me:pw@a/", "a.b", "https://a/#x", &format!("http://a/{}", "x".repeat(2048))]
        {
            let error = check_url(bad).unwrap_err().to_string();
            assert!(!error.contains("pw"), "{error}");
        }
        assert_eq!(
            shown_url("https://hooks.example.com:8443/services/secret"),
            "https://hooks.example.com:8443/…"
        );
        assert_eq!(shown_url("http://127.0.0.1:9093/"), "http://127.0.0.1:9093/");
    }
}
