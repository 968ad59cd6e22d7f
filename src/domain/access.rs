//! Who may do what: roles, each with all that those below it may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DomainError;

/// What the bearer of a token may do. Each role may do all that those before
/// it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Runs the platform: tenants, incidents, silences, markers, receivers.
    Operator,
    /// Decides what becomes of quotas.
    Approver,
    /// Gives out tokens, keeps templates, and mends everything else.
    // Tokens from before there were roles could do all.
    #[default]
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Approver, Role::Admin];

    /// The name used in configs, files and the API.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Approver => "approver",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| DomainError::BadText {
            text: text.to_owned(),
            wanted: "a role; the roles are viewer, operator, approver and admin",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!(Role::ALL.is_sorted());
        assert!("root".parse::<Role>().unwrap_err().to_string().contains("approver"));
    }
}
