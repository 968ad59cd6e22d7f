//! Mends the OpenAPI document where it is made less exactly than the API
//! itself is.

use utoipa::openapi::schema::{Components, Object, Schema};
use utoipa::openapi::{OpenApi, RefOr};

/// Writes each type that is put together from others as one object. As parts
/// that each refuse unknown fields they would refuse one another's.
pub(super) fn join_parts(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let joined: Vec<(String, Object)> = components
        .schemas
        .iter()
        .filter(|(_, schema)| matches!(schema, RefOr::T(Schema::AllOf(_))))
        .filter_map(|(name, schema)| Some((name.clone(), joined(components, schema)?)))
        .collect();
    for (name, object) in joined {
        components.schemas.insert(name, RefOr::T(Schema::Object(object)));
    }
}

/// All fields of a schema; `None` where it is not made of objects alone.
fn joined(components: &Components, schema: &RefOr<Schema>) -> Option<Object> {
    match schema {
        RefOr::Ref(of) => joined(components, components.schemas.get(of.ref_location.rsplit('/').next()?)?),
        RefOr::T(Schema::Object(object)) => Some(object.clone()),
        RefOr::T(Schema::AllOf(all)) => {
            let mut whole = Object::default();
            for part in &all.items {
                let part = joined(components, part)?;
                whole.properties.extend(part.properties);
                whole.required.extend(part.required);
                whole.additional_properties = whole.additional_properties.or(part.additional_properties);
            }
            whole.description.clone_from(&all.description);
            Some(whole)
        }
        RefOr::T(_) => None,
    }
}
