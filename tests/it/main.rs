//! The one integration binary: real processes, real servers, real files.
// A helper of a test fails the test by failing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod approval;
mod audit;
mod caller;
mod costs;
mod crash;
mod dashboard;
mod demo;
mod doctor;
mod document;
mod exports;
mod flow;
mod house;
mod incident;
mod kubernetes;
mod monitoring;
mod notebooks;
mod one_shot;
mod packaging;
mod pause;
mod poll;
mod prometheus_source;
mod recommend;
mod reports;
mod rig;
mod rollouts;
mod service;
mod setup;
mod shutdown;
mod sla;
mod targets;
mod templates;
mod tokens;
mod train;
mod webhooks;
