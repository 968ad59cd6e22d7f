//! What quotas cost: price books, the cost of the fleet and of each tenant, what
//! a change has saved, and how a budget is best spent.

mod book;
mod prices;
mod reading;
mod shipped;

pub use book::{ANY_REGION, NoPrice, PriceBook, UnitPrice};
pub use prices::{Prices, Settings};
pub use reading::{BookProblem, PriceBookError};
pub use shipped::PROVIDERS;
