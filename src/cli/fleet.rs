//! From the tenants of a file to tenants that can be registered.

use crate::registry::NewTenant;
use crate::series::table::FleetTenant;

/// The tenants of a file, at a provider and in a region.
pub fn registered(tenants: Vec<FleetTenant>, provider: &str, region: &str) -> Vec<NewTenant> {
    let new = |tenant: FleetTenant| NewTenant {
        id: tenant.id,
        name: Some(tenant.name),
        tier: tenant.tier,
        provider: provider.to_owned(),
        region: region.to_owned(),
        apply_mode: tenant.apply_mode,
        template: None,
        quotas: tenant.quotas,
    };
    tenants.into_iter().map(new).collect()
}
