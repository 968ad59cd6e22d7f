//! Short texts of templates, each with its form.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::DomainError;

/// A text that is checked when it is made.
macro_rules! word {
    ($(#[$meta:meta])* $name:ident, $pattern:literal, $wanted:literal, $check:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, pattern = $pattern)]
        pub struct $name(String);

        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = DomainError;

            fn try_from(text: String) -> Result<Self, DomainError> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok($name(text)) } else { Err(DomainError::BadText { text, wanted: $wanted }) }
            }
        }

        impl FromStr for $name {
            type Err = DomainError;

            fn from_str(text: &str) -> Result<Self, DomainError> {
                $name::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

word!(
    /// A template's name: 1 to 64 of `a-z 0-9 _ -`, beginning with a letter or
    /// digit.
    TemplateName,
    "^[a-z0-9][a-z0-9_-]{0,63}$",
    "a template's name; use 1 to 64 of the characters a-z 0-9 _ - and begin with a letter or digit",
    |text| is_name(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "_-")
);

word!(
    /// A region's name, as the provider writes it.
    RegionName,
    "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$",
    "a region; use 1 to 64 of the characters a-z A-Z 0-9 . _ - and begin with a letter or digit",
    |text| is_name(text, |c| c.is_ascii_alphanumeric(), "._-")
);

word!(
    /// A country, as two capital letters (ISO 3166-1 alpha-2).
    Country,
    "^[A-Z]{2}$",
    "a country; write two capital letters such as DE",
    |text| text.len() == 2 && text.chars().all(|c| c.is_ascii_uppercase())
);

word!(
    /// A colour, as `#rrggbb`.
    Colour,
    "^#[0-9a-fA-F]{6}$",
    "a colour; write it like \"#0a7bbd\"",
    |text| text.len() == 7 && text.starts_with('#') && text[1..].chars().all(|c| c.is_ascii_hexdigit())
);

word!(
    /// A page, by its URL.
    Link,
    "^https?://[a-zA-Z0-9]",
    "a link; write a URL that begins with https:// or http://, without spaces",
    is_link
);

word!(
    /// A picture: by its URL, or the picture itself as a data URL (RFC 2397).
    Picture,
    "^(https?://[a-zA-Z0-9]|data:image/(png|jpeg|webp|svg\\+xml);base64,[A-Za-z0-9+/]+=*$)",
    "a picture; write a URL that begins with https:// or http://, or the picture itself as data:image/png;base64,… \
     (also jpeg, webp and svg+xml) in at most 65536 characters",
    |text| is_link(text) || is_data(text)
);

/// The longest picture that a template holds, in characters of its data URL.
const LONGEST_PICTURE: usize = 65_536;

fn is_data(text: &str) -> bool {
    let data = ["png", "jpeg", "webp", "svg+xml"]
        .iter()
        .find_map(|kind| text.strip_prefix("data:image/")?.strip_prefix(kind)?.strip_prefix(";base64,"));
    text.len() <= LONGEST_PICTURE
        && data.is_some_and(|data| !data.is_empty() && STANDARD.decode(data).is_ok())
}

fn is_name(text: &str, plain: fn(char) -> bool, more: &str) -> bool {
    let allowed = |c: char| plain(c) || more.contains(c);
    text.starts_with(plain) && text.len() <= 64 && text.chars().all(allowed)
}

fn is_link(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
    host && text.len() <= 2048 && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"')
}

/// A network of addresses, such as `10.20.0.0/16`; a single address stands for
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct Network(IpNet);

impl Network {
    /// Whether an address lies in it. An IPv4 address that is written as an
    /// IPv6 one is the same address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        // Bits behind the prefix are more likely a slip than a wish.
        let network = network.ok().filter(|network| network.addr() == network.network());
        network.map(Network).ok_or_else(|| DomainError::BadText {
            text: text.to_owned(),
            wanted: "a network; write it like 10.20.0.0/16, with no bits set behind the prefix, or one address",
        })
    }
}

impl TryFrom<String> for Network {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_forms() {
        for bad in ["", "Gold", "-a", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<TemplateName>().is_err(), "{bad}");
        }
        assert!("gold-2_eu".parse::<TemplateName>().is_ok());
        for bad in ["de", "DEU", "D1"] {
            assert!(bad.parse::<Country>().is_err(), "{bad}");
        }
        for bad in ["red", "#12345", "#12345g", "#äöüa"] {
            assert!(bad.parse::<Colour>().is_err(), "{bad}");
        }
        for bad in ["ftp://a", "https://", "https://a b", "javascript:alert(1)"] {
            assert!(bad.parse::<Link>().is_err(), "{bad}");
            assert!(bad.parse::<Picture>().is_err(), "{bad}");
        }
        let long = format!("data:image/png;base64,{}", "A".repeat(65_536));
        for bad in
            ["data:image/png;base64,", "data:image/png;base64,a b", "data:text/html;base64,PGI+", &long]
        {
            assert!(bad.parse::<Picture>().is_err(), "{bad}");
        }
        for good in ["https://cdn.example/logo.svg", "data:image/svg+xml;base64,PHN2Zy8+"] {
            assert!(good.parse::<Picture>().is_ok(), "{good}");
        }
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "host"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let network: Network = "10.20.0.0/16".parse().unwrap();
        assert!(network.contains("::ffff:10.20.3.4".parse().unwrap()));
        assert!(!network.contains("10.21.0.1".parse().unwrap()));
        let one: Network = "2001:db8::7".parse().unwrap();
        assert_eq!(one.to_string().parse(), Ok(one));
    }
}
