//! Settings as a flat list of paths and values, in which one layer is easily
//! laid over another. Lists are values; only tables are walked into.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Settings;

/// The values that are given, by path such as `security_config.level`.
pub(super) fn flatten(settings: &Settings) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    // Settings are made of tables with text keys, lists and plain values, all
    // of which have a form in JSON.
    let value = serde_json::to_value(settings).unwrap_or_default();
    walk(value, String::new(), &mut leaves);
    leaves
}

fn walk(value: Value, path: String, leaves: &mut BTreeMap<String, Value>) {
    let Value::Object(fields) = value else {
        leaves.insert(path, value);
        return;
    };
    for (name, inner) in fields {
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        walk(inner, path, leaves);
    }
}

/// The settings of which [`flatten`] made the values.
pub(super) fn unflatten<'v>(values: impl Iterator<Item = (&'v str, &'v Value)>) -> Settings {
    let mut root = Map::new();
    for (path, value) in values {
        put(&mut root, path, value.clone());
    }
    // Each value was read from settings, so it fits where it stood.
    serde_json::from_value(Value::Object(root)).unwrap_or_default()
}

fn put(table: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((name, rest)) => {
            let inner = table.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}
