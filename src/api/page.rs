//! Long lists in pages, with an opaque cursor from one to the next.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::problem::Problem;

/// Which page is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    pub limit: Option<usize>,
    /// Where the last page ended: its `next`.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// How many entries the page has.
    ///
    /// # Errors
    /// Where none are wanted.
    pub fn size(&self, state: &ApiState) -> Result<usize, Problem> {
        match self.limit {
            Some(0) => Err(Problem::bad_request("limit must be at least 1")),
            limit => Ok(limit.unwrap_or(state.settings.default_page).min(state.settings.max_page)),
        }
    }
}

/// What a cursor names, where one is given.
///
/// # Errors
/// Where it is none that a page has given.
pub fn place<T: FromStr>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    cursor.map(str::parse).transpose().map_err(|_| no_place())
}

/// Whether the state that a listing asks for is one of `names`.
///
/// # Errors
/// Where it is none.
pub fn known_state(wanted: Option<&str>, names: &[&str]) -> Result<(), Problem> {
    match wanted.filter(|name| !names.contains(name)) {
        Some(wanted) => {
            let names = names.join(", ");
            Err(Problem::bad_request(format!("can't read state={wanted}; the states are {names}")))
        }
        None => Ok(()),
    }
}

/// The answer to a cursor that no page has given.
pub fn no_place() -> Problem {
    Problem::bad_request("can't read cursor; take the next of the last page")
}

/// A part of a long list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// The cursor of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of `size` out of one entry more, if there is one.
    pub fn of(mut items: Vec<T>, size: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(cursor) } else { None };
        Page { items, next }
    }
}
