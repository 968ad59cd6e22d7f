//! Kubernetes: one `ResourceQuota` a metered resource in the tenant's
//! namespace, by server-side apply under a field manager of our own.
//!
//! An object holds one quota only, so that a change touches nothing but itself;
//! of several quotas in a namespace all hold. Each change is read, tried as a
//! dry run, and then applied to the version that was read. Nothing is forced:
//! what another manager owns is refused by the server, and stays.

mod quantity;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Api, Client, Config};

use super::may_work_later;
use crate::domain::{QuotaChange, Resource, TenantId};
use crate::ports::{QuotaTarget, TargetError};
use crate::telemetry::causes;

const NAME: &str = "kubernetes";
/// Who owns the fields that are written.
const FIELD_MANAGER: &str = "plimsoll";
/// The limit as it was approved, which a quantity may have rounded up.
const LIMIT: &str = "plimsoll.dev/limit";
const GENERATION: &str = "plimsoll.dev/generation";
const REASON: &str = "plimsoll.dev/reason";

/// How a cluster is reached, and what stands for what there.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// The kubeconfig; the user's, or that of the pod, where `None`.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; the current one where `None`.
    pub context: Option<String>,
    /// A tenant's namespace, with `{tenant}` in its place.
    pub namespace: String,
    /// What each metered resource is called in a `ResourceQuota`; those that
    /// are left out are not enforced there.
    pub names: BTreeMap<Resource, Vec<String>>,
    /// Whether a limit may be set below what is in use.
    pub below_usage: bool,
    /// How long the server may take to take a call, and to answer it.
    pub time_limit: Duration,
}

/// The cluster can't be spoken to; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("set up the client for Kubernetes: {0}")]
pub struct KubernetesSetupError(String);

/// Sets quotas in a cluster.
pub struct KubernetesTarget {
    client: Client,
    namespace: String,
    names: BTreeMap<Resource, Vec<String>>,
    below_usage: bool,
}

impl KubernetesTarget {
    /// With these settings. Nothing is asked of the cluster yet.
    ///
    /// # Errors
    /// Where there is no config, or it can't be used.
    pub async fn new(settings: KubernetesSettings) -> Result<Self, KubernetesSetupError> {
        let failed = |error: &dyn std::error::Error| KubernetesSetupError(causes(error));
        let KubernetesSettings { kubeconfig, context, namespace, names, below_usage, time_limit } = settings;
        let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let mut config = match kubeconfig {
            Some(path) => {
                let read = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
                Config::from_custom_kubeconfig(read, &options).await.map_err(|error| failed(&error))?
            }
            None if options.context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(|error| failed(&error))?
            }
            None => Config::infer().await.map_err(|error| failed(&error))?,
        };
        config.connect_timeout = Some(time_limit);
        config.read_timeout = Some(time_limit);
        config.write_timeout = Some(time_limit);
        config.reset_reader_on_write = true;
        // What can't be reached is tried again by each cycle.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| failed(&error))?;
        Ok(KubernetesTarget { client, namespace, names, below_usage })
    }

    /// What a limit is written as in a `ResourceQuota`.
    pub fn quantity_of(resource: Resource, limit: f64) -> String {
        quantity::write(resource, limit)
    }

    /// The limit that a quantity of a `ResourceQuota` stands for; `None` where it
    /// is none.
    pub fn limit_in(resource: Resource, quantity: &str) -> Option<f64> {
        quantity::read(resource, quantity)
    }

    fn quotas_of(&self, tenant: &TenantId) -> Api<ResourceQuota> {
        Api::namespaced(self.client.clone(), &self.namespace.replace("{tenant}", tenant.as_str()))
    }

    /// Says where a limit would lie below what is in use, which starts nothing
    /// new there and stops nothing that runs.
    fn check_usage(&self, change: &QuotaChange, found: &ResourceQuota) -> Result<(), TargetError> {
        let used = found.status.as_ref().and_then(|status| status.used.as_ref());
        let most = self.names[&change.resource]
            .iter()
            .filter_map(|name| quantity::read(change.resource, &used?.get(name)?.0))
            .fold(0.0, f64::max);
        if change.to >= most {
            return Ok(());
        }
        let (to, unit) = (change.to, change.resource.unit());
        if self.below_usage {
            tracing::warn!(tenant = %change.tenant, resource = %change.resource, to, in_use = most, "the quota is set below what is in use");
            return Ok(());
        }
        Err(refused(format!(
            "{most} {unit} are in use, more than the {to} {unit} asked for; free some, or set \
             target.below_usage to \"allow\""
        )))
    }

    fn object(&self, change: &QuotaChange, version: Option<String>) -> ResourceQuota {
        let written = quantity::write(change.resource, change.to);
        let hard = self.names[&change.resource].iter().map(|name| (name.clone(), Quantity(written.clone())));
        let text = |name: &str, value: String| (name.to_owned(), value);
        ResourceQuota {
            metadata: ObjectMeta {
                name: Some(object_name(change.resource)),
                resource_version: version,
                labels: Some([text("app.kubernetes.io/managed-by", FIELD_MANAGER.to_owned())].into()),
                annotations: Some(
                    [
                        text(LIMIT, change.to.to_string()),
                        text(GENERATION, (change.parent_generation + 1).to_string()),
                        text(REASON, change.reason.clone()),
                    ]
                    .into(),
                ),
                ..ObjectMeta::default()
            },
            spec: Some(ResourceQuotaSpec { hard: Some(hard.collect()), ..ResourceQuotaSpec::default() }),
            status: None,
        }
    }

    /// The limit that an object stands for.
    fn limit_of(&self, resource: Resource, found: &ResourceQuota) -> Option<f64> {
        let hard = found.spec.as_ref()?.hard.as_ref()?;
        let quantities = self.names[&resource].iter().filter_map(|name| hard.get(name));
        let held =
            quantities.filter_map(|quantity| quantity::read(resource, &quantity.0)).reduce(f64::min)?;
        // Where it is what was written for a limit, it is that limit.
        let approved: Option<f64> =
            found.metadata.annotations.as_ref().and_then(|all| all.get(LIMIT)?.parse().ok());
        let is_that =
            |limit: &f64| quantity::read(resource, &quantity::write(resource, *limit)) == Some(held);
        Some(approved.filter(is_that).unwrap_or(held))
    }
}

#[async_trait]
impl QuotaTarget for KubernetesTarget {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keeps(&self, resource: Resource) -> bool {
        self.names.contains_key(&resource)
    }

    async fn enforce(&self, change: &QuotaChange) -> Result<(), TargetError> {
        if !self.keeps(change.resource) {
            return Ok(());
        }
        let quotas = self.quotas_of(&change.tenant);
        let name = object_name(change.resource);
        let found = quotas.get_opt(&name).await.map_err(|error| told(error, &self.namespace))?;
        if let Some(found) = &found {
            self.check_usage(change, found)?;
        }
        let object = self.object(change, found.and_then(|found| found.metadata.resource_version));
        let apply = PatchParams::apply(FIELD_MANAGER);
        for params in [PatchParams { dry_run: true, ..apply.clone() }, apply] {
            let outcome = quotas.patch(&name, &params, &Patch::Apply(&object)).await;
            outcome.map_err(|error| told(error, &self.namespace))?;
        }
        Ok(())
    }

    async fn read(&self, tenant: &TenantId, resource: Resource) -> Result<Option<f64>, TargetError> {
        if !self.keeps(resource) {
            return Ok(None);
        }
        let found = self.quotas_of(tenant).get_opt(&object_name(resource)).await;
        let found = found.map_err(|error| told(error, &self.namespace))?;
        Ok(found.and_then(|found| self.limit_of(resource, &found)))
    }
}

fn object_name(resource: Resource) -> String {
    format!("plimsoll-{}", resource.name().replace('_', "-"))
}

/// What an error means, and the mend.
fn told(error: kube::Error, namespace: &str) -> TargetError {
    match error {
        kube::Error::Api(status) => judge(&status, namespace),
        other => unreachable(causes(&other)),
    }
}

fn judge(status: &Status, namespace: &str) -> TargetError {
    let said = format!("the server answered {}: {}", status.code, status.message);
    match status.code {
        401 => unreachable(format!("{said}; check the credentials in the kubeconfig or the service account")),
        403 => refused(format!("{said}; give the service account the role in config/kubernetes/rbac.yaml")),
        404 => refused(format!(
            "{said}; target.namespace is {namespace:?}, make the namespace or mend the pattern"
        )),
        409 if is_owned_by_another(status) => refused(format!(
            "{said}; let its manager give the field up (`kubectl apply --server-side` without it), since Plimsoll forces nothing"
        )),
        // Somebody wrote it since it was read.
        409 => unreachable(said),
        code if may_work_later(code) => unreachable(said),
        _ => refused(said),
    }
}

fn is_owned_by_another(status: &Status) -> bool {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    causes.iter().any(|cause| cause.reason == "FieldManagerConflict")
}

fn unreachable(message: String) -> TargetError {
    TargetError::Unreachable { target: NAME, message }
}

fn refused(message: String) -> TargetError {
    TargetError::Refused { target: NAME, message }
}
