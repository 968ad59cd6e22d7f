//! Real servers for the integration tests: started on free loopback ports,
//! stopped when dropped, with what they said shown where a test fails.
#![allow(dead_code, unused_imports, reason = "each test uses a part of the rig")]

mod alertmanager;
mod collector;
mod daemon;
#[path = "../../../src/source/prometheus/tests/fake.rs"]
mod fake;
mod kept;
mod listener;
mod mail;
mod node;
mod process;
mod prometheus;
mod python;
mod signature;
mod tls;

pub use alertmanager::Alertmanager;
pub use collector::{Collector, Span};
pub use daemon::Daemon;
pub use fake::{Asked, Fake, Reply};
pub use listener::{Answer, Listener, Posted};
pub use mail::MailServer;
pub use node::node_scripts;
pub use process::free_address;
pub use prometheus::{Prometheus, Web, openmetrics};
pub use python::{python_environment, python_package};
pub use signature::{said_by_the_library, verified};
pub use tls::Authority;
