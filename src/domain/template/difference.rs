//! What changes from one template to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Resolved, Template, flat};

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Its place, such as `security_config.level`.
    pub path: String,
    /// What stood before; `null` for nothing.
    pub before: Value,
    /// What stands since; `null` for nothing.
    pub after: Value,
}

/// What changes for tenants and readers from one template to another: what it
/// says of itself, and every value that holds under it. `None` is a template
/// that is not there.
pub fn differences(
    before: Option<(&Template, &Resolved)>,
    after: Option<(&Template, &Resolved)>,
) -> Vec<Difference> {
    let (mut before, mut after) = (all(before), all(after));
    let mut paths: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    paths.sort();
    paths.dedup();
    let differs = |path: String| {
        let (before, after) = (before.remove(&path), after.remove(&path));
        (before != after).then(|| Difference {
            path,
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
        })
    };
    paths.into_iter().filter_map(differs).collect()
}

fn all(side: Option<(&Template, &Resolved)>) -> BTreeMap<String, Value> {
    let Some((template, resolved)) = side else { return BTreeMap::new() };
    let mut values = flat::flatten(&resolved.settings);
    values.insert("tier".to_owned(), serde_json::json!(resolved.tier));
    if let Some(extends) = &template.extends {
        values.insert("extends".to_owned(), serde_json::json!(extends));
    }
    if let Some(description) = &template.description {
        values.insert("description".to_owned(), serde_json::json!(description));
    }
    values
}
