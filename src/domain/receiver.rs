//! Who is told of notices, how, and of which.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DomainError, Notice, NoticeKind, Severity, TenantId};

/// A receiver's name: 1 to 64 of `a-z 0-9 _ -`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
pub struct ReceiverName(String);

impl ReceiverName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ReceiverName {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = text.starts_with(plain) && text.len() <= 64;
        if fits && text.chars().all(|c| plain(c) || matches!(c, '_' | '-')) {
            Ok(ReceiverName(text))
        } else {
            Err(DomainError::BadReceiverName(text))
        }
    }
}

impl FromStr for ReceiverName {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        ReceiverName::try_from(text.to_owned())
    }
}

impl From<ReceiverName> for String {
    fn from(name: ReceiverName) -> String {
        name.0
    }
}

impl fmt::Display for ReceiverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverKind {
    /// A signed webhook after Standard Webhooks 1.0.
    StandardWebhooks,
    /// What Alertmanager sends to its webhooks, version 4.
    AlertmanagerWebhook,
    /// CloudEvents 1.0 as JSON in structured mode.
    Cloudevents,
    /// The text that Slack, Mattermost and Rocket.Chat take.
    Slack,
    /// An Alertmanager itself, or all replicas of one.
    Alertmanager,
    /// A mail server that passes letters on. Only the config makes one.
    Email,
    /// A folder of this machine that takes files. Only the config makes one.
    Folder,
}

impl ReceiverKind {
    /// Whether what is sent to it is signed, so that it has a secret; no other
    /// has one.
    pub fn signs(self) -> bool {
        self == ReceiverKind::StandardWebhooks
    }

    /// Whether it is an Alertmanager itself: it may have replicas, and must be
    /// told again what goes on.
    pub fn is_alertmanager(self) -> bool {
        self == ReceiverKind::Alertmanager
    }

    /// Whether only whoever runs the daemon may make one: it reaches what a
    /// caller of the API may not.
    pub fn is_of_config(self) -> bool {
        matches!(self, ReceiverKind::Email | ReceiverKind::Folder)
    }

    /// The name used in configs, files and the API.
    pub fn name(self) -> &'static str {
        match self {
            ReceiverKind::StandardWebhooks => "standard_webhooks",
            ReceiverKind::AlertmanagerWebhook => "alertmanager_webhook",
            ReceiverKind::Cloudevents => "cloudevents",
            ReceiverKind::Slack => "slack",
            ReceiverKind::Alertmanager => "alertmanager",
            ReceiverKind::Email => "email",
            ReceiverKind::Folder => "folder",
        }
    }
}

/// Which notices a receiver wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// Only those of these tenants; all where empty.
    pub tenants: Vec<TenantId>,
    /// Only those that matter at least so much.
    pub least_severity: Severity,
    /// Only those of these kinds; where empty, all but audit_checkpoint.
    pub kinds: Vec<NoticeKind>,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted { tenants: Vec::new(), least_severity: Severity::Info, kinds: Vec::new() }
    }
}

impl Receiver {
    /// Whether ends of incidents are told to it, of those that it was told of:
    /// unless it asks for other kinds, and to an Alertmanager always, since an
    /// alert would not end there.
    pub fn takes_ends(&self) -> bool {
        let kinds = &self.wanted.kinds;
        self.kind.is_alertmanager() || kinds.is_empty() || kinds.contains(&NoticeKind::IncidentResolved)
    }
}

impl Wanted {
    /// Whether it asks for ends of incidents and not for their beginnings.
    pub fn only_ends(&self) -> bool {
        self.kinds.contains(&NoticeKind::IncidentResolved) && !self.kinds.iter().any(|kind| kind.goes_on())
    }

    /// Whether a notice is wanted.
    pub fn takes(&self, notice: &Notice) -> bool {
        let tenant = self.tenants.is_empty()
            || notice.tenant.as_ref().is_some_and(|tenant| self.tenants.contains(tenant));
        let kind = match self.kinds.is_empty() {
            true => notice.kind.is_for_everybody(),
            false => self.kinds.contains(&notice.kind),
        };
        let severe = notice.severity >= self.least_severity;
        tenant && kind && severe
    }
}

/// From whom and to whom letters are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letterhead {
    /// The sender's address.
    pub from: String,
    /// The addresses that they go to.
    pub to: Vec<String>,
}

/// One that is told of notices.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name.
    pub name: ReceiverName,
    /// What it understands.
    pub kind: ReceiverKind,
    /// Where it is: a URL, or the path of a folder; a secret, since the path of
    /// a webhook often is its key, and a mail server's URL holds a password.
    pub url: SecretString,
    /// The other replicas of an Alertmanager.
    pub replicas: Vec<SecretString>,
    /// Signs, for Standard Webhooks.
    pub secret: Option<SecretString>,
    /// Signs besides, while `secret` is new.
    pub old_secret: Option<SecretString>,
    /// From whom and to whom, for e-mail.
    pub letterhead: Option<Letterhead>,
    /// Which notices it wants.
    pub wanted: Wanted,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_receiver_gets_what_it_wants() {
        let notice = Notice {
            id: uuid::Uuid::nil(),
            at: Timestamp::from_seconds(1),
            since: Timestamp::from_seconds(0),
            kind: NoticeKind::IncidentOpened,
            tenant: Some("acme".parse().unwrap()),
            severity: Severity::Warning,
            subject: "1".to_owned(),
            title: String::new(),
            text: String::new(),
            detail: serde_json::Value::Null,
            trace: None,
            only_for: Vec::new(),
        };
        let all = Wanted::default();
        assert!(all.takes(&notice));
        assert!(Wanted { tenants: vec!["acme".parse().unwrap()], ..all.clone() }.takes(&notice));
        assert!(!Wanted { tenants: vec!["other".parse().unwrap()], ..all.clone() }.takes(&notice));
        assert!(!Wanted { least_severity: Severity::Critical, ..all.clone() }.takes(&notice));
        assert!(!Wanted { kinds: vec![NoticeKind::IncidentResolved], ..all }.takes(&notice));
    }
}
