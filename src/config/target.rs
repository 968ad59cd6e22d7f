//! Where quotas are enforced.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::kubernetes::Kubernetes;
use super::reader::{Key, Reader, Section};
use super::secret::SecretKeys;
use super::values::plain_text;
use crate::security::{SigningSecret, check_url};

/// Where quotas are enforced, and how that is looked after.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where.
    pub place: TargetPlace,
    /// How often the target is compared with the registry.
    pub reconcile_every: Duration,
    /// Whether what differs is set right, and not told of only.
    pub repair: bool,
    /// The most questions to the target at once.
    pub max_at_once: usize,
}

/// Where quotas are enforced.
#[derive(Debug, Clone)]
pub enum TargetPlace {
    /// Whoever enforces them polls the API.
    Registry,
    /// One file a tenant.
    File {
        /// Where.
        folder: PathBuf,
        /// As JSON, and not as YAML.
        as_json: bool,
    },
    /// The platform's own server is called.
    Http {
        /// Where, with `{tenant}` and `{resource}` in their places.
        url: String,
        /// Signs the calls.
        secret: SecretString,
        /// How long a call may take.
        time_limit: Duration,
        /// Whether a change is read back.
        read_back: bool,
    },
    /// A `ResourceQuota` in each tenant's namespace.
    Kubernetes {
        /// Which cluster, and what stands for what there.
        cluster: Kubernetes,
        /// How long a call may take.
        time_limit: Duration,
    },
}

#[derive(Clone, Copy)]
enum Kind {
    Registry,
    File,
    Http,
    Kubernetes,
}

const ABOUT: &str = "\
Where quotas are enforced. A change counts once the target has taken it; one that can't be reached is tried again in \
each cycle, one that refuses ends the change.";

const SECRET: SecretKeys = SecretKeys {
    name: "secret",
    file_name: "secret_file",
    about: "For \"http\": signs each call as Standard Webhooks has it: whsec_ and the base64 of 24 to 64 bytes.",
    least: 16,
};

impl Target {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("target", ABOUT);
        Target {
            place: TargetPlace::read(&mut section),
            reconcile_every: section.duration(
                "reconcile_every",
                "How often a target that holds quotas of its own is compared with the registry: `/v1/drift`.",
                Duration::from_secs(3600),
                Duration::from_secs(1)..=Duration::from_secs(7 * 86_400),
            ),
            repair: section.choice(
                "drift",
                "What becomes of quotas that hold there as others: \"report\" tells of them, \"repair\" sets the \
                 registry's again, also those of new tenants, and writes that down.",
                &[("report", false), ("repair", true)],
            ),
            max_at_once: section.count(
                "max_at_once",
                "The most questions to the target at once while comparing.",
                4,
                1..=256,
            ),
        }
    }
}

impl TargetPlace {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let kind = section.choice(
            "kind",
            "\"registry\": gateways and schedulers poll `/v1/tenants/{id}/quotas`. \"file\": one file a tenant, \
             written by rename, as a GitOps repository wants it. \"http\": the platform's own server is called. \
             \"kubernetes\": a ResourceQuota in the tenant's namespace.",
            &[
                ("registry", Kind::Registry),
                ("file", Kind::File),
                ("http", Kind::Http),
                ("kubernetes", Kind::Kubernetes),
            ],
        );
        let folder = section.path("folder", "For \"file\": the folder of the files.", "plimsoll-data/quotas");
        let as_json = section.choice(
            "format",
            "For \"file\": how they are written.",
            &[("yaml", false), ("json", true)],
        );
        let http = Http::read(section);
        let cluster = Kubernetes::read(section);
        match kind {
            Kind::Registry => TargetPlace::Registry,
            Kind::File => TargetPlace::File { folder, as_json },
            Kind::Kubernetes => TargetPlace::Kubernetes { cluster, time_limit: http.time_limit },
            Kind::Http => http.place(section).unwrap_or(TargetPlace::Registry),
        }
    }
}

/// The keys of a platform's own server.
struct Http {
    url: Option<String>,
    secret: Option<SecretString>,
    time_limit: Duration,
    read_back: bool,
}

impl Http {
    fn read(section: &mut Section<'_, '_>) -> Self {
        Http {
            url: read_url(section),
            secret: section.secret(&SECRET),
            time_limit: section.duration(
                "time_limit",
                "For \"http\" and \"kubernetes\": how long a call may take.",
                Duration::from_secs(10),
                Duration::from_millis(100)..=Duration::from_secs(120),
            ),
            read_back: section.switch(
                "read_back",
                "For \"http\": whether a change is read back with GET before it counts.",
                true,
            ),
        }
    }

    /// `None` where something is missing or wrong, which is complained of.
    fn place(self, section: &mut Section<'_, '_>) -> Option<TargetPlace> {
        let given =
            [("url", section.has("url")), ("secret", section.has("secret") || section.has("secret_file"))];
        if let Some((name, _)) = given.iter().find(|(_, is_given)| !is_given) {
            let mend = format!("add {name} to the section");
            section.conflict(&["kind"], format!("is \"http\", and {name} is missing"), mend);
        }
        let (url, secret) = (self.url?, self.secret?);
        if let Err(error) = SigningSecret::parse(&secret) {
            let mend = "make one with `echo whsec_$(openssl rand -base64 32)`";
            section.conflict(&["secret", "secret_file"], format!("can't be used: failed to {error}"), mend);
        }
        let Http { time_limit, read_back, .. } = self;
        Some(TargetPlace::Http { url, secret, time_limit, read_back })
    }
}

fn read_url(section: &mut Section<'_, '_>) -> Option<String> {
    let key = Key::new(
        "url",
        "For \"http\": what is called: PUT sets a quota, GET reads it. {tenant} and {resource} stand for the two.",
        "an address",
    )
    .example("\"https://platform.example/quotas/{tenant}/{resource}\"");
    section.take(key, |value| {
        let text = plain_text(value, "\"https://platform.example/quotas/{tenant}/{resource}\"")?;
        let whole = text.replace("{tenant}", "t").replace("{resource}", "r");
        check_url(&whole).map_err(|error| super::notify::bad_url(&error.to_string()))?;
        if whole.matches(['{', '}']).count() > 0 || !text.contains("{tenant}") || !text.contains("{resource}")
        {
            return Err(super::reader::Complaint::new(
                "does not name both {tenant} and {resource}",
                "write it like \"https://platform.example/quotas/{tenant}/{resource}\"",
            ));
        }
        Ok(text)
    })
}
