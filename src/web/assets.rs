//! The files of the dashboard, as they were when the binary was built.

use std::sync::LazyLock;

use crate::security::{hex, sha256};

/// Hexadecimal digits of a tag: enough to tell any two versions apart.
const TAG_LENGTH: usize = 16;

/// A file of the dashboard.
pub struct Asset {
    name: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What it holds.
    pub text: &'static str,
    tag: LazyLock<String>,
}

impl Asset {
    /// Its ETag: the same as long as its text is.
    pub fn tag(&self) -> String {
        self.tag.clone()
    }
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: concat!($kind, "; charset=utf-8"),
            text: include_str!(concat!("page/", $name)),
            tag: LazyLock::new(|| {
                let digest = hex(&sha256([include_bytes!(concat!("page/", $name)).as_slice()]));
                format!("\"{}\"", &digest[..TAG_LENGTH])
            }),
        }
    };
}

macro_rules! script {
    ($name:literal) => {
        asset!($name, "text/javascript")
    };
}

/// The one document.
pub static PAGE: Asset = asset!("index.html", "text/html");

static PARTS: [Asset; 31] = [
    asset!("style.css", "text/css"),
    asset!("icon.svg", "image/svg+xml"),
    script!("api.js"),
    script!("app.js"),
    script!("audit.js"),
    script!("axes.js"),
    script!("brand.js"),
    script!("chart.js"),
    script!("decide.js"),
    script!("dom.js"),
    script!("english.js"),
    script!("fleet.js"),
    script!("format.js"),
    script!("german.js"),
    script!("history.js"),
    script!("incident.js"),
    script!("incidents.js"),
    script!("login.js"),
    script!("models.js"),
    script!("pause.js"),
    script!("promises.js"),
    script!("stale.js"),
    script!("proposal.js"),
    script!("reports.js"),
    script!("rollout.js"),
    script!("rollouts.js"),
    script!("sentences.js"),
    script!("tenant.js"),
    script!("told.js"),
    script!("whatif.js"),
    script!("words.js"),
];

/// The part of this name.
pub fn named(name: &str) -> Option<&'static Asset> {
    PARTS.iter().find(|asset| asset.name == name)
}
