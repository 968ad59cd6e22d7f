//! What is around the daemon: its address, its store, the target of its changes
//! and the receivers of its notices.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::net::{TcpListener, TcpStream};

use super::{Checked, parts};
use crate::config::{Config, StoreKind, TargetPlace};
use crate::domain::{Receiver, ReceiverKind, Resource};
use crate::ports::TargetError;
use crate::security::Addresses;

/// Free space below which a store soon can't be written to.
const LITTLE_SPACE: f64 = (1_u64 << 30) as f64;
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A tenant that nobody has.
const NOBODY: &str = "plimsoll-doctor";

/// Whether the address is free, or a daemon of ours listens there.
pub(super) async fn server(config: &Config, is_running: bool) -> Checked {
    let address = config.server.listen_address;
    if is_running {
        return Checked::good("address", format!("a daemon answers at {address}"));
    }
    match TcpListener::bind(address).await {
        Ok(_) => Checked::good("address", format!("{address} is free")),
        Err(error) => Checked::bad(
            "address",
            format!("{address} can't be listened on: {error}"),
            Some("end what listens there, or set server.listen_address to another"),
        ),
    }
}

/// Whether a daemon answers at the address.
pub(super) async fn is_running(config: &Config) -> bool {
    let address = config.server.listen_address;
    let client = reqwest::Client::builder().timeout(CONNECT_WITHIN).no_proxy().build();
    let Ok(client) = client else { return false };
    let asked = client.get(format!("http://{address}/-/healthy")).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}

/// Whether the store can be written to, has room, and is whole.
pub(super) async fn store(config: &Config, is_running: bool) -> Vec<Checked> {
    if config.store.kind == StoreKind::Memory {
        let mend = "set store.kind to \"sled\" unless this is a trial";
        return vec![Checked::doubtful("store", "in memory: all is lost at the end", mend)];
    }
    let folder = &config.store.path;
    let mut all = vec![room(folder)];
    if is_running {
        all.push(Checked::good("state", "in use by the daemon that answers"));
        return all;
    }
    if !config.store.state_path().exists() {
        all.push(Checked::good("state", "none yet; it is made at the first start"));
        return all;
    }
    let opened = async { parts::open_stores(config).await?.2.close().await };
    all.push(match opened.await {
        Ok(()) => Checked::good("state", "it opens"),
        Err(error) => {
            let mend = "end the daemon that uses it, or bring back a copy that was made while it was whole";
            Checked::bad("state", format!("{error:#}"), Some(mend))
        }
    });
    all
}

/// The folder where it is there, else the nearest one above it: the daemon makes
/// the rest.
fn nearest(folder: &Path) -> &Path {
    let there = folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
    there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn room(folder: &Path) -> Checked {
    let there = nearest(folder);
    let shown = there.display();
    if let Err(error) = tempfile::NamedTempFile::new_in(there) {
        let mend = "let the daemon's user write there, or set store.path to another folder";
        return Checked::bad("store", format!("{shown} can't be written to: {error}"), Some(mend));
    }
    match nix::sys::statvfs::statvfs(there) {
        Err(error) => Checked::doubtful("store", format!("{shown}: {error}"), "see what is mounted there"),
        Ok(space) => {
            // Systems count in numbers of their own widths.
            let free = space.blocks_available() as f64 * space.fragment_size() as f64;
            let found = format!("{:.1} GB are free in {shown}", free / 1e9);
            match free < LITTLE_SPACE {
                true => Checked::doubtful("store", found, "make room; a full disk stops all writes"),
                false => Checked::good("store", found),
            }
        }
    }
}

/// Whether the target answers; it is only asked for a quota.
pub(super) async fn target(config: &Config) -> Option<Checked> {
    let place = &config.target.place;
    if matches!(place, TargetPlace::Registry) {
        return Some(Checked::good("target", "the registry: gateways poll GET /v1/tenants/{id}/quotas"));
    }
    let target = match parts::target(place).await {
        Ok(target) => target,
        Err(error) => return Some(Checked::bad("target", format!("{error:#}"), Some(mend_of(place)))),
    };
    let resource = Resource::ALL.into_iter().find(|resource| target.keeps(*resource))?;
    let nobody = NOBODY.parse().ok()?;
    let name = target.name();
    Some(match target.read(&nobody, resource).await {
        Ok(_) => Checked::good("target", format!("{name} answers")),
        Err(error @ TargetError::Unreachable { .. }) => {
            Checked::bad("target", format!("failed to {error}"), Some(mend_of(place)))
        }
        // It answers; what it has against a tenant that nobody has is no news.
        Err(TargetError::Refused { message, .. }) => {
            Checked::good("target", format!("{name} answers; of a tenant that nobody has it said: {message}"))
        }
    })
}

/// What mends a target that can't be used.
fn mend_of(place: &TargetPlace) -> &'static str {
    match place {
        TargetPlace::Registry => "look at [target]",
        TargetPlace::File { .. } => {
            "let the daemon's user write to that folder, or set target.folder to one that it can make and write to"
        }
        TargetPlace::Http { .. } => {
            "see that target.url is right, and that what it names runs and can be reached from here"
        }
        TargetPlace::Kubernetes { .. } => {
            "see that the keys under [target] are right, and that kubectl reaches the cluster with them from here"
        }
    }
}

/// Whether each receiver of the config can be connected to. Nothing is sent.
pub(super) async fn receivers(config: &Config) -> Vec<Checked> {
    let addresses = Addresses::new(config.notify.allowed_networks.clone());
    let mut all = Vec::new();
    for receiver in &config.receivers {
        all.push(self::receiver(receiver, &addresses).await);
    }
    if all.is_empty() {
        let mend = "add a [receivers.NAME] section, or make one over the API; see docs/webhooks.md";
        all.push(Checked::doubtful("receivers", "the config names none: nobody is told of incidents", mend));
    }
    all
}

async fn receiver(receiver: &Receiver, addresses: &Addresses) -> Checked {
    let part = format!("receiver {}", receiver.name);
    if receiver.kind == ReceiverKind::Folder {
        let folder = Path::new(receiver.url.expose_secret());
        return match tempfile::NamedTempFile::new_in(nearest(folder)) {
            Ok(_) => Checked::good(part, "its folder can be written to"),
            Err(error) => Checked::bad(part, error.to_string(), Some("let the daemon's user write there")),
        };
    }
    // Only whoever runs the daemon sets mail servers up, so they may be anywhere.
    let addresses = (receiver.kind != ReceiverKind::Email).then_some(addresses);
    for url in std::iter::once(&receiver.url).chain(&receiver.replicas) {
        // Neither path nor password of the address is shown: both may be secrets.
        if let Err((found, mend)) = connect(url.expose_secret(), addresses).await {
            return Checked::bad(part, found, Some(&mend));
        }
    }
    Checked::good(part, "it can be connected to; `plimsoll notify test` sends it a test")
}

async fn connect(url: &str, addresses: Option<&Addresses>) -> Result<(), (String, String)> {
    let address = || "look at its address".to_owned();
    let url =
        reqwest::Url::parse(url).map_err(|error| (format!("its address is none: {error}"), address()))?;
    let host = url.host_str().ok_or_else(|| ("its address names no host".to_owned(), address()))?;
    let port = url.port_or_known_default().unwrap_or(match url.scheme() {
        "smtps" => 465,
        _ if url.query().is_some_and(|query| query.contains("tls=")) => 587,
        _ => 25,
    });
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    let found = found.map_err(|error| (format!("its host is not found: {error}"), address()))?;
    let mut reasons = Vec::new();
    for at in found {
        match allowed(at, addresses) {
            Err(reason) => reasons.push(reason),
            Ok(()) => match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(at)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => reasons.push(error.to_string()),
                Err(_) => reasons.push(format!("no connection within {} s", CONNECT_WITHIN.as_secs())),
            },
        }
    }
    let mend = "see that it runs and can be reached from here; private networks are allowed by notify.allowed_networks";
    Err((reasons.join("; "), mend.to_owned()))
}

fn allowed(at: SocketAddr, addresses: Option<&Addresses>) -> Result<(), String> {
    let Some(addresses) = addresses else { return Ok(()) };
    addresses.check(at.ip()).map_err(|error| format!("failed to {error}"))
}
