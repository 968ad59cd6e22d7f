//! Plimsoll tells a multi-tenant platform how much each tenant really needs.

pub mod anomaly;
pub mod cost;
pub mod domain;
pub mod forecast;
pub mod ports;
pub mod registry;
pub mod rightsize;
pub mod series;
