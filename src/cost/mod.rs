//! What quotas cost: price books, the cost of the fleet and of each tenant, what
//! changes have saved, how a budget is best spent, and the export for other tools.

mod allocation;
mod book;
#[cfg(test)]
mod example;
mod fleet;
mod focus;
mod plan;
mod prices;
mod reading;
mod saving;
mod shipped;
mod span;

pub use allocation::{AllocateBy, Allocation, allocations, window};
pub use book::{ANY_REGION, NoPrice, PriceBook, UnitPrice};
pub use fleet::{
    BudgetState, Costs, FleetCosts, Line, TenantCosts, Unpriced, budgets, month_of, of_fleet, of_tenant,
};
pub use focus::{Charge, ExportFormat, Held, Issuer, charges, export, rows_of};
pub use plan::{Fixed, Plan, PlanError, Planned, Spendable, plan};
pub use prices::{Prices, Settings};
pub use reading::{BookProblem, PriceBookError};
pub use saving::{Saving, Savings, counts_in, of_change, savings};
pub use shipped::PROVIDERS;
pub use span::Change;
