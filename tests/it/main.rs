//! The one integration binary: real processes, real servers, real files.
// A helper of a test fails the test by failing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

/// As in the daemon: room for what a damaged file claims is only set aside.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

mod approval;
mod audit;
mod caller;
mod costs;
mod crash;
mod dashboard;
mod demo;
mod doctor;
mod document;
mod examples;
mod exports;
mod flow;
mod fuzz;
mod history_faults;
mod house;
mod incident;
mod kubernetes;
mod limits;
mod metering;
mod monitoring;
mod notebooks;
mod one_shot;
mod packaging;
mod pause;
mod poll;
mod prometheus_source;
mod readme;
mod recommend;
mod reload;
mod reports;
mod rig;
mod rollouts;
mod service;
mod setup;
mod shutdown;
mod sla;
mod source_faults;
mod stale;
mod store;
mod targets;
mod templates;
mod tokens;
mod traces;
mod train;
mod webhooks;
