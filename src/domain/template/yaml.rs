//! Templates as YAML: one document each. What is written is read back exactly;
//! what can't be read is refused with its line and column.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Options, Spanned};

use super::super::DomainError;
use super::{Fault, Template};

/// A template with the place of each of its values in the text.
#[derive(Debug, Clone)]
pub struct Document {
    /// The template.
    pub template: Template,
    places: BTreeMap<String, (u64, u64)>,
}

impl Document {
    /// The fault with the line and column of the value that it is about, or of
    /// the nearest one around it.
    pub fn located(&self, fault: Fault) -> Fault {
        let mut path = fault.path.as_str();
        let place = loop {
            if let Some(place) = self.places.get(path) {
                break Some(*place);
            }
            if path.is_empty() {
                break None;
            }
            path = path.rsplit_once('.').map_or("", |(outer, _)| outer);
        };
        Fault { line: place.map(|(line, _)| line), column: place.map(|(_, column)| column), ..fault }
    }
}

/// Reads the templates of a text, in its order.
///
/// # Errors
/// The first thing that can't be read, with its place.
pub fn read(text: &str) -> Result<Vec<Document>, Fault> {
    let templates: Vec<Template> =
        serde_saphyr::from_str_multiple_with_options(text, options()).map_err(|error| fault(&error))?;
    let trees: Vec<Spanned<Tree>> =
        serde_saphyr::from_str_multiple_with_options(text, options()).map_err(|error| fault(&error))?;
    if templates.is_empty() {
        return Err(Fault::at("", "holds no template; write a name and a tier or what it extends"));
    }
    let document = |(template, tree): (Template, Spanned<Tree>)| {
        let mut places = BTreeMap::new();
        note(&tree, String::new(), &mut places);
        Document { template, places }
    };
    Ok(templates.into_iter().zip(trees).map(document).collect())
}

/// Writes a template as one document.
///
/// # Errors
/// Where a value has no form in YAML, which no valid template has.
pub fn write(template: &Template) -> Result<String, DomainError> {
    serde_saphyr::to_string(template).map_err(|error| DomainError::NotWritten(error.to_string()))
}

fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        reject_unsupported_tags: true,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        with_snippet: false,
    }
}

fn fault(error: &serde_saphyr::Error) -> Fault {
    let place = error.location();
    let text = error.without_snippet().to_string();
    // The parser ends its message with the place, which is given on its own.
    let what = match text.split(" at line ").next().unwrap_or(&text).trim() {
        // All counts of a template are of this type, which says nothing to people.
        what if what.contains("u64") => "must be a whole number that is not negative".to_owned(),
        what => what.to_owned(),
    };
    Fault {
        line: place.map(|place| place.line()),
        column: place.map(|place| place.column()),
        path: String::new(),
        what,
    }
}

fn note(node: &Spanned<Tree>, path: String, places: &mut BTreeMap<String, (u64, u64)>) {
    if let Tree::Table(fields) = &node.value {
        for (name, inner) in fields {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            note(inner, path, places);
        }
    }
    if node.referenced != Location::UNKNOWN {
        places.insert(path, (node.referenced.line(), node.referenced.column()));
    }
}

/// The shape of a text, for the places of its values.
#[derive(Debug)]
enum Tree {
    Table(BTreeMap<String, Spanned<Tree>>),
    Value,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.insert(name.clone(), map.next_value::<Spanned<Tree>>()?).is_some() {
                return Err(A::Error::custom(format_args!("{name} is given twice")));
            }
        }
        Ok(Tree::Table(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        while list.next_element::<Tree>()?.is_some() {}
        Ok(Tree::Value)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Value)
    }
}
