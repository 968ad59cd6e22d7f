//! What stands at targets: quantities of Kubernetes, and files of quotas.

use std::fs;

use plimsoll::domain::quota::checked_limit;
use plimsoll::domain::{QuotaChange, Resource, TenantId};
use plimsoll::ports::QuotaTarget;
use plimsoll::target::{FileFormat, FileTarget, KubernetesTarget};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How far a limit may be rounded up: by a thousandth, or by a byte, which is less.
const ROUNDED_BY: f64 = 0.001;
/// The quota that is changed, and one that stays.
const CHANGED: Resource = Resource::CpuCores;
const KEPT: Resource = Resource::MemoryGb;
const LIMIT: f64 = 7.5;

/// A quantity: the limit that it stands for is a number. And a limit, that one or the
/// one that the bytes are as a float: what it is written as is read as no less, and
/// hardly more.
pub fn quantity(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let number = bytes.first_chunk::<8>().map(|raw| f64::from_le_bytes(*raw));
    for resource in Resource::ALL {
        let read = KubernetesTarget::limit_in(resource, text);
        assert!(read.is_none_or(f64::is_finite), "{text:?} is {read:?}");
        for limit in [read, number].into_iter().flatten() {
            if checked_limit(resource, limit).is_ok() {
                write(resource, limit);
            }
        }
    }
}

fn write(resource: Resource, limit: f64) {
    let text = KubernetesTarget::quantity_of(resource, limit);
    let digits = text.strip_suffix('m').unwrap_or(&text);
    assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "{limit} is {text}");
    let again = KubernetesTarget::limit_in(resource, &text);
    let unseen = limit * 1e-9;
    let fits = |again: f64| again >= limit - unseen && again <= limit + ROUNDED_BY + unseen;
    assert!(again.is_some_and(fits), "{limit} is {text}, which is {again:?}");
}

struct Place {
    runtime: Runtime,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("no runtime");
        // What is written is synced, for which memory takes no time.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Place { runtime, folder: folder.expect("no folder") }
    }
}

/// The file of a tenant at a file target, behind the reason of a change and an empty
/// line: what can be read holds the change afterwards and all that it held before,
/// and what can't stays as it is.
pub fn quotas(bytes: &[u8]) {
    thread_local!(static PLACE: Place = Place::new());
    let (reason, content) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (&bytes[..0], bytes),
    };
    let reason = String::from_utf8_lossy(reason);
    PLACE.with(|place| {
        change_quota(place, (FileFormat::Yaml, "acme.yaml"), &reason, content);
        change_quota(place, (FileFormat::Json, "acme.json"), &reason, content);
    });
}

fn change_quota(place: &Place, (format, name): (FileFormat, &str), reason: &str, content: &[u8]) {
    let Place { runtime, folder } = place;
    let file = folder.path().join(name);
    fs::write(&file, content).expect("no room for the file");
    let target = FileTarget::new(folder.path(), format).expect("no folder");
    let tenant: TenantId = "acme".parse().expect("it is an id");
    let held = |resource: Resource| runtime.block_on(target.read(&tenant, resource));
    let before = held(KEPT);
    let change = QuotaChange {
        tenant: tenant.clone(),
        resource: CHANGED,
        parent_generation: 3,
        from: 1.0,
        to: LIMIT,
        recommendation: None,
        rollout: None,
        rolls_back: false,
        reason: reason.to_owned(),
    };
    let made = runtime.block_on(target.enforce(&change));
    assert_eq!(made.is_ok(), before.is_ok(), "{made:?} after {before:?}");
    let Ok(before) = before else {
        assert_eq!(fs::read(&file).expect("the file is gone"), content);
        return;
    };
    let written = || String::from_utf8_lossy(&fs::read(&file).unwrap_or_default()).into_owned();
    assert_eq!(held(CHANGED).ok().flatten(), Some(LIMIT), "{}", written());
    let after = held(KEPT).ok().flatten();
    assert!(is_same(before, after), "{before:?} became {after:?} in {}", written());
}

/// Whether two limits are one; in YAML one can be no number.
fn is_same(one: Option<f64>, other: Option<f64>) -> bool {
    one == other || one.zip(other).is_some_and(|(one, other)| one.is_nan() && other.is_nan())
}
