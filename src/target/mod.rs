//! Where quotas are enforced: at whoever polls the registry, in files, at the
//! platform's own server, or in a Kubernetes cluster.

mod callback;
mod file;
mod kubernetes;
mod registry;

pub use callback::{CallbackSettings, CallbackSetupError, CallbackTarget};
pub use file::{FileFormat, FileTarget};
pub use kubernetes::{KubernetesSettings, KubernetesSetupError, KubernetesTarget};
pub use registry::RegistryTarget;

/// Whether a server that answers with this status may take the same call later.
fn may_work_later(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
}
