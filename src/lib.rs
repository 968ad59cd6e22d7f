//! Plimsoll tells a multi-tenant platform how much each tenant really needs.

pub mod anomaly;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod cost;
pub mod domain;
pub mod engine;
pub mod forecast;
pub mod notify;
pub mod ports;
pub mod registry;
pub mod report;
pub mod rightsize;
pub mod security;
pub mod series;
pub mod simulate;
pub mod source;
pub mod store;
pub mod target;
pub mod telemetry;
pub mod web;
