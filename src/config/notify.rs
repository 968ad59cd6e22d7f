//! Who is told of incidents, and how often it is tried.

use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;

use super::reader::{Complaint, Key, Reader, Section, kind_of};
use super::secret::SecretKeys;
use super::units::days;
use super::values::{plain_text, text_of};
use crate::domain::{
    DomainError, Letterhead, NoticeKind, Receiver, ReceiverKind, ReceiverName, Severity, TenantId, Wanted,
};
use crate::security::{SigningSecret, check_url};

/// How receivers are told.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Where people find this daemon.
    pub external_url: String,
    /// How often the outbox is looked at.
    pub poll_every: Duration,
    /// How a notice is tried.
    pub attempts: Attempts,
    /// How much there may be.
    pub limits: DeliveryLimits,
    /// How often an Alertmanager is told again.
    pub resend_every: Duration,
    /// How long it is remembered what was delivered.
    pub remember: Duration,
    /// Networks that may be connected to though they are not public.
    pub allowed_networks: Vec<IpNet>,
}

/// How a notice is tried.
#[derive(Debug, Clone)]
pub struct Attempts {
    /// How long one attempt may take.
    pub time_limit: Duration,
    /// The waits between attempts.
    pub retry_waits: Vec<Duration>,
    /// How much of a wait chance may add, as a share.
    pub retry_jitter: f64,
    /// The longest wait that a receiver may ask for.
    pub longest_retry_after: Duration,
}

/// How much there may be.
#[derive(Debug, Clone)]
pub struct DeliveryLimits {
    /// The most deliveries at once.
    pub max_at_once: usize,
    /// The most deliveries at once to one receiver.
    pub max_at_once_per_receiver: usize,
    /// The most notices that wait for one receiver.
    pub max_waiting: usize,
    /// The most dead letters of one receiver.
    pub max_dead_letters: usize,
    /// The most receivers that the API makes.
    pub max_receivers: usize,
    /// The most replicas of an Alertmanager that the API makes a receiver of.
    pub max_replicas: usize,
    /// The largest message, in bytes.
    pub max_message: usize,
    /// How much of an answer is read, in bytes.
    pub max_answer: usize,
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

impl Notify {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let about = "How receivers of notices are told. The receivers themselves stand under \
                     [receivers.NAME], or are made over the API.";
        let mut section = reader.section("notify", about);
        let section = &mut section;
        Notify {
            external_url: section.text(
                "external_url",
                "Where people find this daemon; it stands in notices.",
                "a URL with http or https",
                "http://127.0.0.1:7117",
                |text| check_url(text).map(|_| ()).map_err(|error| bad_url(&error.to_string())),
            ),
            poll_every: section.duration(
                "poll_every",
                "How often the outbox is looked at.",
                SECOND,
                Duration::from_millis(10)..=HOUR,
            ),
            attempts: Attempts::read(section),
            limits: DeliveryLimits::read(section),
            resend_every: section.duration(
                "resend_every",
                "How often an Alertmanager is told again what goes on. What it is not told again for four \
                 times as long ends there by itself.",
                60 * SECOND,
                Duration::from_millis(100)..=HOUR,
            ),
            remember: section.duration(
                "remember",
                "How long it is remembered what a receiver took last of an incident, so that nothing \
                 older can be sent after it.",
                days(30),
                days(2)..=days(365),
            ),
            allowed_networks: read_networks(section),
        }
    }
}

impl Attempts {
    fn read(section: &mut Section<'_, '_>) -> Self {
        Attempts {
            time_limit: section.duration(
                "time_limit",
                "How long one attempt may take, answer included.",
                15 * SECOND,
                Duration::from_millis(100)..=300 * SECOND,
            ),
            retry_waits: read_waits(section),
            retry_jitter: section.number(
                "retry_jitter",
                "How much chance may add to a wait, as a share of it, so that what failed together does \
                 not come back together.",
                0.2,
                0.0..=1.0,
            ),
            longest_retry_after: section.duration(
                "longest_retry_after",
                "The longest wait that a receiver may ask for with Retry-After.",
                days(1),
                Duration::ZERO..=days(7),
            ),
        }
    }
}

impl DeliveryLimits {
    fn read(section: &mut Section<'_, '_>) -> Self {
        DeliveryLimits {
            max_at_once: section.count("max_at_once", "The most deliveries at once.", 16, 1..=1_000),
            max_at_once_per_receiver: section.count(
                "max_at_once_per_receiver",
                "The most of them to one receiver; one that hangs takes no more than this.",
                2,
                1..=100,
            ),
            max_waiting: section.count(
                "max_waiting",
                "The most notices that wait for one receiver; what is beyond becomes a dead letter at once.",
                1_000,
                1..=100_000,
            ),
            max_dead_letters: section.count(
                "max_dead_letters",
                "The most dead letters that are kept of one receiver; the oldest go first.",
                1_000,
                1..=100_000,
            ),
            max_receivers: section.count(
                "max_receivers",
                "The most receivers that can be made over the API.",
                100,
                0..=1_000,
            ),
            max_replicas: section.count(
                "max_replicas",
                "The most further replicas of an Alertmanager that is made a receiver over the API.",
                16,
                0..=100,
            ),
            max_message: section.size(
                "max_message",
                "The largest message; a larger one goes without its detail.",
                256 << 10,
                4 << 10..=16 << 20,
            ),
            max_answer: section.size(
                "max_answer",
                "How much of an answer that reports a failure is read; its beginning is shown with the \
                 dead letter.",
                4 << 10,
                1..=1 << 20,
            ),
        }
    }
}

pub(super) fn bad_url(error: &str) -> Complaint {
    Complaint::new(format!("can't be used: failed to {error}"), "write it like \"https://host/path\"")
}

/// A text that breaks a rule of the domain.
pub(super) fn bad_value(error: DomainError) -> Complaint {
    Complaint::new(format!("can't be used: failed to {error}"), "mend or remove it")
}

fn read_waits(section: &mut Section<'_, '_>) -> Vec<Duration> {
    let default = "[\"5s\", \"5m\", \"30m\", \"2h\", \"5h\", \"10h\", \"14h\", \"20h\", \"24h\"]";
    let about = "The waits before each further attempt, as Standard Webhooks proposes them; after the \
                 last one the notice becomes a dead letter.";
    let key = Key::new("retry_waits", about, "a list of durations").default(default);
    let waits = section.list(key, "\"5m\"", |text| {
        humantime::parse_duration(text).ok().filter(|wait| *wait <= days(7)).ok_or_else(|| {
            Complaint::new(format!("{text:?} is no duration of up to 7d"), "write it like \"30s\" or \"5m\"")
        })
    });
    if waits.as_ref().is_some_and(Vec::is_empty) {
        let what = "is empty, so that a notice would be given up after its first failure";
        section.conflict(&["retry_waits"], what, "name one wait at least, or leave the key out");
    }
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let usual = [5, 30, 120, 300, 600, 840, 1200, 1440].map(minutes);
    waits.unwrap_or_else(|| std::iter::once(5 * SECOND).chain(usual).collect())
}

fn read_networks(section: &mut Section<'_, '_>) -> Vec<IpNet> {
    let about = "Networks that receivers may lie in though they are not public. Without this nobody who \
                 may name a receiver can reach the daemon's neighbours.";
    let key =
        Key::new("allowed_networks", about, "a list of networks").example("[\"10.20.0.0/16\", \"::1/128\"]");
    let networks = section.list(key, "\"10.20.0.0/16\"", |text| {
        text.parse().map_err(|_| {
            Complaint::new(
                format!("{text:?} is no network"),
                "write it like \"10.20.0.0/16\" or \"fd00::/8\"",
            )
        })
    });
    networks.unwrap_or_default()
}

const RECEIVERS: &str = "\
Who is told of incidents: a section a receiver, under a name of your choice. The same can be \
made over the API.";

/// The receivers by name, in the order of the file.
pub(super) fn read_receivers(reader: &mut Reader<'_>) -> Vec<Receiver> {
    let mut receivers = Vec::new();
    for name in reader.names_of_sections("receivers", RECEIVERS, "pager") {
        let about = "A receiver; docs/webhooks.md shows one of each kind.";
        let mut section = reader.named_section("receivers", &name, about);
        let read = read_receiver(&mut section, &name);
        receivers.extend(read);
    }
    receivers
}

fn read_receiver(section: &mut Section<'_, '_>, name: &str) -> Option<Receiver> {
    let kind = section.choice(
        "kind",
        "What it understands.",
        &[
            ("standard_webhooks", ReceiverKind::StandardWebhooks),
            ("alertmanager_webhook", ReceiverKind::AlertmanagerWebhook),
            ("cloudevents", ReceiverKind::Cloudevents),
            ("slack", ReceiverKind::Slack),
            ("alertmanager", ReceiverKind::Alertmanager),
            ("email", ReceiverKind::Email),
            ("folder", ReceiverKind::Folder),
        ],
    );
    let url = read_secret(
        section,
        ("url", "url_file"),
        "Where notices are posted; for an Alertmanager its base URL; for email the mail server, as \
         smtps://user:password@host, or smtp://host?tls=required for STARTTLS. It counts as a secret.",
    );
    let folder = read_folder(section);
    let letterhead = read_letterhead(section, kind == ReceiverKind::Email);
    let replicas = read_replicas(section);
    let about = "Signs what is sent, for standard_webhooks: whsec_ and 24 to 64 bytes in base64.";
    let secret = read_secret(section, ("secret", "secret_file"), about);
    let about = "The secret before, which signs besides while receivers move to the new one.";
    let old_secret = read_secret(section, ("old_secret", "old_secret_file"), about);
    let wanted = read_wanted(section);
    if !section.is_given() {
        return None;
    }
    let name = match name.parse::<ReceiverName>() {
        Ok(name) => name,
        Err(error) => {
            section.conflict(
                &[],
                format!("is no name of a receiver: failed to {error}"),
                "choose another name",
            );
            return None;
        }
    };
    let place = if kind == ReceiverKind::Folder { folder } else { url };
    let Some(url) = place else {
        if kind == ReceiverKind::Folder {
            section.conflict(&["folder"], "is missing", "add folder = \"reports\" to the section");
        } else if !section.has("url") && !section.has("url_file") {
            section.conflict(&["url"], "is missing", "add url or url_file to the section");
        }
        return None;
    };
    let receiver = Receiver { name, kind, url, replicas, secret, old_secret, letterhead, wanted };
    check_receiver(section, &receiver);
    Some(receiver)
}

fn read_secret(
    section: &mut Section<'_, '_>,
    (name, file_name): (&'static str, &'static str),
    about: &'static str,
) -> Option<SecretString> {
    section.secret(&SecretKeys { name, file_name, about, least: 1 })
}

fn read_folder(section: &mut Section<'_, '_>) -> Option<SecretString> {
    let about = "For folder: where files are put, each under its name once it is whole.";
    let key = Key::new("folder", about, "a path").example("\"reports\"");
    let name = section.take(key, |value| plain_text(value, "\"reports\""))?;
    Some(SecretString::from(section.resolve(&name).display().to_string()))
}

/// From whom and to whom letters are, which is asked for where it is `needed`.
fn read_letterhead(section: &mut Section<'_, '_>, needed: bool) -> Option<Letterhead> {
    let like = "\"Plimsoll <plimsoll@example.org>\"";
    let check = |text: &str| match check_address(text) {
        true => Ok(text.to_owned()),
        false => Err(Complaint::new(format!("{text:?} is no address"), format!("write it like {like}"))),
    };
    let key = Key::new("from", "For email: the sender.", "an address").example(like);
    let from = section.take(key, |value| check(&plain_text(value, like)?));
    let key = Key::new("to", "For email: whom letters go to.", "a list of addresses");
    let to = section.list(key.example("[\"finops@example.org\"]"), "\"finops@example.org\"", check);
    for (name, is_given) in [("from", section.has("from")), ("to", section.has("to"))] {
        if needed && !is_given {
            section.conflict(&[name], "is missing", format!("add {name} to the section"));
        }
    }
    Some(Letterhead { from: from?, to: to.filter(|to| !to.is_empty())? })
}

/// Whether a text can be an address, alone or behind a name in the form
/// `Name <address>`. The mail server has the last word.
fn check_address(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.trim_end().strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@')
    };
    !text.contains(char::is_control)
        && address.split_once('@').is_some_and(|(name, host)| plain(name) && plain(host))
}

/// A password may cross a network only under TLS.
fn check_mail_server(url: &str) -> Result<(), Complaint> {
    let like = "write it like \"smtps://user:password@mail.example.org\"";
    let read = reqwest::Url::parse(url).ok().filter(reqwest::Url::has_host);
    let Some(read) = read.filter(|url| matches!(url.scheme(), "smtp" | "smtps")) else {
        return Err(Complaint::new("is no URL of a mail server", like));
    };
    let is_forced = read.query_pairs().any(|(name, value)| name == "tls" && value == "required");
    let is_secret = !read.username().is_empty() || read.password().is_some();
    if is_secret && read.scheme() == "smtp" && !is_forced {
        let mend = "write smtps://, or add ?tls=required at its end";
        return Err(Complaint::new("would send a password without TLS", mend));
    }
    Ok(())
}

fn read_replicas(section: &mut Section<'_, '_>) -> Vec<SecretString> {
    let about = "The other replicas of an Alertmanager: each is told, and one that takes it is enough.";
    let key = Key::new("replicas", about, "a list of URLs").example("[\"http://alertmanager-1:9093\"]");
    let urls = section.list(key, "\"http://alertmanager-1:9093\"", |text| {
        check_url(text).map_err(|error| bad_url(&error.to_string()))?;
        Ok(SecretString::from(text.to_owned()))
    });
    urls.unwrap_or_default()
}

fn read_wanted(section: &mut Section<'_, '_>) -> Wanted {
    let key =
        Key::new("tenants", "Only notices of these tenants; all where left out.", "a list of tenant ids");
    let tenants = section
        .list(key.example("[\"acme\"]"), "\"acme\"", |text| text.parse::<TenantId>().map_err(bad_value));
    let least_severity = section.choice(
        "least_severity",
        "Only notices that matter at least so much.",
        &[("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)],
    );
    let key = Key::new("kinds", "Only notices of these kinds; all where left out.", "a list of kinds")
        .example("[\"incident_opened\", \"incident_resolved\"]");
    let kinds =
        section.list(key, "\"incident_opened\"", |text| text.parse::<NoticeKind>().map_err(bad_value));
    Wanted { tenants: tenants.unwrap_or_default(), least_severity, kinds: kinds.unwrap_or_default() }
}

/// What must hold between the keys of a receiver.
fn check_receiver(section: &mut Section<'_, '_>, receiver: &Receiver) {
    let url = receiver.url.expose_secret();
    let checked = match receiver.kind {
        ReceiverKind::Folder => Ok(()),
        ReceiverKind::Email => check_mail_server(url),
        _ => check_url(url).map(|_| ()).map_err(|error| bad_url(&error.to_string())),
    };
    if let Err(Complaint { what, mend }) = checked {
        section.conflict(&["url", "url_file"], what, mend);
    }
    let signs = receiver.kind.signs();
    match (&receiver.secret, signs) {
        (None, true) => {
            let mend = "add secret_file with \"whsec_\" and the output of `openssl rand -base64 32`";
            section.conflict(&["secret", "secret_file"], "is missing", mend);
        }
        (Some(_), false) => {
            let what = format!("is given, but {} signs nothing", receiver.kind.name());
            section.conflict(&["secret", "secret_file"], what, "remove it, or use standard_webhooks");
        }
        _ => {}
    }
    if receiver.old_secret.is_some() && !signs {
        let what = format!("is given, but {} signs nothing", receiver.kind.name());
        section.conflict(&["old_secret", "old_secret_file"], what, "remove it, or use standard_webhooks");
    }
    for (key, secret) in [("secret", &receiver.secret), ("old_secret", &receiver.old_secret)] {
        if let Some(Err(error)) = secret.as_ref().filter(|_| signs).map(SigningSecret::parse) {
            let mend = "write \"whsec_\" and the output of `openssl rand -base64 32`";
            section.conflict(&[key], format!("can't be used: failed to {error}"), mend);
        }
    }
    if !receiver.kind.is_alertmanager() && !receiver.replicas.is_empty() {
        section.conflict(&["replicas"], "is given for a receiver that is no alertmanager", "remove it");
    }
}

impl Section<'_, '_> {
    /// A list of texts, each made a value by `read`. `None` where it is left
    /// out or wrong.
    pub(super) fn list<T>(
        &mut self,
        key: Key,
        like: &str,
        read: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<Vec<T>> {
        self.take(key, |value| {
            let DeValue::Array(items) = value else {
                let what = format!("is {}, not a list", kind_of(value));
                return Err(Complaint::new(what, format!("write it like [{like}]")));
            };
            items.iter().map(|item| read(text_of(item.get_ref(), "a text", like)?)).collect()
        })
    }
}
