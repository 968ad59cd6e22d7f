//! The ten quotas of a template, each a plain number in the unit that its name
//! says.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Resource;

/// Quotas by resource, in each resource's unit; what is left out is not said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<String, f64>)]
pub struct ResourceQuotas(pub BTreeMap<Resource, f64>);

impl<'de> Deserialize<'de> for ResourceQuotas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Quotas)
    }
}

struct Quotas;

impl<'de> Visitor<'de> for Quotas {
    type Value = ResourceQuotas;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("quotas by resource, such as cpu_cores: 8")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResourceQuotas, A::Error> {
        let mut quotas = BTreeMap::new();
        while let Some(resource) = map.next_key::<Resource>()? {
            if quotas.insert(resource, map.next_value_seed(Limit(resource))?).is_some() {
                return Err(A::Error::custom(format_args!("{resource} is given twice")));
            }
        }
        Ok(ResourceQuotas(quotas))
    }
}

/// The limit of one resource.
struct Limit(Resource);

impl<'de> DeserializeSeed<'de> for Limit {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Limit {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a plain number: {} is in {}", self.0, self.0.unit())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        let Limit(resource) = self;
        let unit = resource.unit();
        Err(E::custom(format_args!(
            "{text:?} is no plain number; {resource} is in {unit}, so write the number of {unit} without a unit"
        )))
    }
}
