//! How quotas are enforced in a Kubernetes cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::reader::{Complaint, Key, Section};
use super::values::plain_text;
use crate::domain::Resource;

/// A cluster, and what stands for what there.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// The kubeconfig; the user's, or that of the pod, where `None`.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; the current one where `None`.
    pub context: Option<String>,
    /// A tenant's namespace, with `{tenant}` in its place.
    pub namespace: String,
    /// What each metered resource is called in a `ResourceQuota`.
    pub names: BTreeMap<Resource, Vec<String>>,
    /// Whether a limit may be set below what is in use.
    pub below_usage: bool,
}

impl Kubernetes {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Kubernetes {
            kubeconfig: read_kubeconfig(section),
            context: read_context(section),
            namespace: read_namespace(section).unwrap_or_else(|| "{tenant}".to_owned()),
            names: read_names(section),
            below_usage: section.choice(
                "below_usage",
                "For \"kubernetes\": what becomes of a limit below what is in use in the namespace: \"refuse\" \
                 ends the change and says so, \"allow\" sets it and logs a warning.",
                &[("refuse", false), ("allow", true)],
            ),
        }
    }
}

fn read_kubeconfig(section: &mut Section<'_, '_>) -> Option<PathBuf> {
    let about = "For \"kubernetes\": the kubeconfig. Without it the one that kubectl would use, or else the pod's \
                 service account.";
    let key = Key::new("kubeconfig", about, "the path of a file").example("\"kubeconfig\"");
    section.file(key)
}

fn read_context(section: &mut Section<'_, '_>) -> Option<String> {
    let about = "For \"kubernetes\": the context of the kubeconfig, where it is not the current one.";
    let key = Key::new("context", about, "a name").example("\"production\"");
    section.take(key, |value| plain_text(value, "\"production\""))
}

fn read_namespace(section: &mut Section<'_, '_>) -> Option<String> {
    let like = "\"tenant-{tenant}\"";
    let about = "For \"kubernetes\": a tenant's namespace. {tenant} stands for its id.";
    let key = Key::new("namespace", about, "a name with {tenant}").default("\"{tenant}\"");
    section.take(key, |value| {
        let text = plain_text(value, like)?;
        let whole = text.replace("{tenant}", "t");
        let is_label = whole.len() <= 63
            && whole.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !whole.starts_with('-')
            && !whole.ends_with('-');
        if text.contains("{tenant}") && is_label {
            return Ok(text);
        }
        let what = format!("{text:?} is no namespace with {{tenant}} in it");
        let mend = format!("write small letters, digits and - with {{tenant}} among them, like {like}");
        Err(Complaint::new(what, mend))
    })
}

fn read_names(section: &mut Section<'_, '_>) -> BTreeMap<Resource, Vec<String>> {
    let like = "\"cpu_cores = limits.cpu\"";
    let defaults = ["cpu_cores = limits.cpu", "memory_gb = limits.memory", "storage_gb = requests.storage"];
    let about = "For \"kubernetes\": what each metered resource is called in a ResourceQuota; a resource may \
                 stand twice. Resources that are left out are not enforced in the cluster: gateways and \
                 schedulers poll them from the API.";
    let quoted: Vec<String> = defaults.iter().map(|one| format!("{one:?}")).collect();
    let key = Key::new("names", about, "a list of resources with their names there")
        .default(format!("[{}]", quoted.join(", ")));
    let given = section.list(key, like, read_name);
    let read_default = |text: &&str| read_name(text).ok();
    let pairs = given.unwrap_or_else(|| defaults.iter().filter_map(read_default).collect());
    let mut names: BTreeMap<Resource, Vec<String>> = BTreeMap::new();
    for (resource, name) in pairs {
        names.entry(resource).or_default().push(name);
    }
    names
}

fn read_name(text: &str) -> Result<(Resource, String), Complaint> {
    let mend = "write it like \"cpu_cores = limits.cpu\"";
    let (resource, name) = text
        .split_once('=')
        .ok_or_else(|| Complaint::new(format!("{text:?} names no resource and its name there"), mend))?;
    let resource = resource
        .trim()
        .parse::<Resource>()
        .map_err(|error| Complaint::new(format!("{text:?} can't be used: failed to {error}"), mend))?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || ['-', '.', '/', '_'].contains(&c));
    if is_name {
        return Ok((resource, name.to_owned()));
    }
    Err(Complaint::new(format!("{name:?} is no name of a Kubernetes resource"), mend))
}
