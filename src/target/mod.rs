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
