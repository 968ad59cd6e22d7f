//! A fleet as OpenMetrics text, for `promtool tsdb create-blocks-from
//! openmetrics`: a gauge a resource, with the labels `tenant` and `tier`.

use std::io::{self, Write};

use super::Fleet;

/// Writes a fleet. The format asks that all samples of a metric lie together.
pub(super) fn write(out: &mut dyn Write, fleet: &Fleet) -> io::Result<()> {
    for frame in &fleet.frames {
        let resource = frame.resource;
        writeln!(out, "# TYPE tenant_{resource} gauge")?;
        writeln!(out, "# HELP tenant_{resource} Usage in {}.", resource.unit())?;
        for tenant in &fleet.tenants {
            let series = fleet.series_of(tenant).filter(|series| series.resource == resource);
            for (at, value) in series.flat_map(|series| series.samples().collect::<Vec<_>>()) {
                let seconds = at.as_seconds();
                // Ids and tiers hold no character that needs an escape.
                writeln!(
                    out,
                    "tenant_{resource}{{tenant=\"{}\",tier=\"{}\"}} {value} {seconds}",
                    tenant.id, tenant.tier
                )?;
            }
        }
    }
    writeln!(out, "# EOF")
}
