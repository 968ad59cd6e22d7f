//! Where quotas are enforced.

mod registry;

pub use registry::RegistryTarget;
