//! Which expression gives the usage of each resource.

use std::collections::BTreeMap;

use promql_parser::parser::Expr;

use super::reader::{Complaint, Key, Reader};
use super::values::text_of;
use crate::domain::Resource;

const ABOUT: &str = "\
One PromQL expression a resource, in the unit that the resource's name says. Each must \
return one series a tenant with the label prometheus.tenant_label. Counters need a rate(), \
so that a restart is no drop. A resource without a section is not collected; one is enough \
to begin.

The expressions below read the metrics that `plimsoll simulate` writes. Above each stands \
one for Kubernetes with cAdvisor and kube-state-metrics, where relabelling or a recording \
rule has put a `tenant` label on the series of each namespace. Where it is a label of the \
namespace instead, join it in:

  sum by (tenant) (rate(container_cpu_usage_seconds_total{container!=\"\"}[5m])
    * on (namespace) group_left (tenant)
    label_replace(kube_namespace_labels, \"tenant\", \"$1\", \"label_tenant\", \"(.+)\"))

Where a resource is the platform's own, take the expression as a sketch and put your \
metric's name in.";

/// The expression for each resource that is collected.
pub type Expressions = BTreeMap<Resource, String>;

pub(super) fn read(reader: &mut Reader<'_>) -> Expressions {
    let mut section = reader.section("resources", ABOUT);
    let mut expressions = Expressions::new();
    let mut any_given = false;
    for resource in Resource::ALL {
        let mut one = section.section(resource.name(), about(resource)).optional();
        any_given |= one.is_given();
        let example = format!("\"max by (tenant) (tenant_{resource})\"");
        let takes = format!("an expression that gives {}", resource.unit());
        let key = Key::new("expression", "", takes).example(&example).required();
        let expression = one.take(key, |value| {
            let text = text_of(value, "a PromQL expression", &example)?;
            if text.trim().is_empty() {
                let mend = format!("write it like {example}, or remove the section");
                return Err(Complaint::new("is empty", mend));
            }
            check_syntax(text.trim(), &example)?;
            Ok(text.trim().to_owned())
        });
        if let Some(expression) = expression {
            expressions.insert(resource, expression);
        }
    }
    if !any_given {
        reader.conflict(
            &["resources"],
            "holds no expression, so there is nothing to collect",
            "add at least one, such as [resources.cpu_cores] with expression = \"max by (tenant) (tenant_cpu_cores)\"",
        );
    }
    expressions
}

/// Prometheus would refuse the expression in every cycle; better to say it now.
pub(super) fn check_syntax(expression: &str, example: &str) -> Result<(), Complaint> {
    let mend = || format!("write it like {example}, and try it in Prometheus' own page");
    match promql_parser::parser::parse(expression) {
        Ok(parsed) => match parsed {
            Expr::MatrixSelector(_) | Expr::StringLiteral(_) => {
                Err(Complaint::new("gives no vector of samples", mend()))
            }
            _ => Ok(()),
        },
        Err(error) => Err(Complaint::new(format!("is not PromQL: {error}"), mend())),
    }
}

/// What a resource's section is about, with an expression for Kubernetes.
fn about(resource: Resource) -> &'static str {
    match resource {
        Resource::CpuCores => {
            "Processor time, in cores.\n  \
             sum by (tenant) (rate(container_cpu_usage_seconds_total{container!=\"\"}[5m]))"
        }
        Resource::MemoryGb => {
            "Main memory, in GB; the working set is what an out-of-memory kill looks at.\n  \
             sum by (tenant) (container_memory_working_set_bytes{container!=\"\"}) / 1e9"
        }
        Resource::StorageGb => {
            "Persistent storage, in GB.\n  \
             sum by (tenant) (kubelet_volume_stats_used_bytes) / 1e9"
        }
        Resource::NetworkBandwidthMbps => {
            "Network bandwidth, in Mbit/s: bytes in and out, times 8.\n  \
             sum by (tenant) (rate(container_network_receive_bytes_total[5m])\n    \
             + rate(container_network_transmit_bytes_total[5m])) * 8 / 1e6"
        }
        Resource::ConcurrentConnections => {
            "Open client connections.\n  sum by (tenant) (envoy_http_downstream_cx_active)"
        }
        Resource::ApiRequestsPerMinute => {
            "API requests in a minute.\n  sum by (tenant) (rate(http_requests_total[5m])) * 60"
        }
        Resource::MlModelInstances => {
            "Running instances of machine-learning models.\n  \
             sum by (tenant) (kube_deployment_status_replicas_available{deployment=~\"model-.+\"})"
        }
        Resource::AiProcessingUnits => {
            "Units of AI processing, as the platform defines them; here, GPUs in full use.\n  \
             sum by (tenant) (DCGM_FI_DEV_GPU_UTIL) / 100"
        }
        Resource::DatabaseConnections => {
            "Open database connections.\n  sum by (tenant) (pg_stat_activity_count)"
        }
        Resource::CacheSizeMb => "Cache, in MB.\n  sum by (tenant) (redis_memory_used_bytes) / 1e6",
    }
}
