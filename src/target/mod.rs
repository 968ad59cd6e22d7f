//! Where quotas are enforced: at whoever polls the registry, in files, or at
//! the platform's own server.

mod callback;
mod file;
mod registry;

pub use callback::{CallbackSettings, CallbackSetupError, CallbackTarget};
pub use file::{FileFormat, FileTarget};
pub use registry::RegistryTarget;
