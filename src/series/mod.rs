//! Usage over time, on a regular grid with its gaps marked.
//!
//! A gap is `NaN`: it is never filled in here, so that whoever reads a series
//! decides what a missing sample means. Everything in this room is pure
//! arithmetic but for [`table`], which reads and writes files.

mod counter;
pub mod dense;
mod frame;
mod resample;
mod seasons;
pub mod stats;
pub mod table;
mod wall_clock;

pub use counter::increases;
pub use frame::{Frame, UsageSeries};
pub use resample::{Aggregate, resample};
pub use seasons::seasons;
pub use wall_clock::WallClock;
