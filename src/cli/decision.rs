//! What people decide over the command line: a yes with a comment, or anything
//! else with its reason, each with the code of a second factor where one is
//! asked for.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::answer;
use super::client::{Body, Server, given};

/// A yes.
#[derive(Debug, Args)]
pub struct Approval {
    /// Its id
    id: uuid::Uuid,
    /// What you say of it
    #[arg(long, visible_alias = "reason")]
    comment: Option<String>,
    /// The code of your second factor, where the template asks for one
    #[arg(long)]
    code: Option<String>,
}

impl Approval {
    /// Says it of the record below `place`.
    ///
    /// # Errors
    /// Where the daemon can't be reached or refuses.
    pub fn send(&self, server: &Server, place: &str) -> anyhow::Result<Value> {
        let path = format!("{place}/{}/approve", self.id);
        let body = Body::Json(json!({ "comment": self.comment }));
        server.send_body(Method::POST, &path, &[], &answer::code(self.code.as_deref()), body)
    }
}

/// What is done with a record for a reason.
#[derive(Debug, Args)]
pub struct Decision {
    /// Its id
    id: uuid::Uuid,
    /// Why
    #[arg(long, visible_alias = "comment")]
    reason: String,
    /// The code of your second factor, where a template asks for one
    #[arg(long)]
    code: Option<String>,
}

impl Decision {
    /// Does `what` with the record below `place`.
    ///
    /// # Errors
    /// Where the daemon can't be reached or refuses.
    pub fn send(&self, server: &Server, place: &str, what: &str) -> anyhow::Result<Value> {
        let path = format!("{place}/{}/{what}", self.id);
        let body = Body::Json(json!({ "reason": self.reason }));
        server.send_body(Method::POST, &path, &[], &answer::code(self.code.as_deref()), body)
    }
}

/// Why something is removed, where one says so.
#[derive(Debug, Args)]
pub struct Why {
    /// Why; it stands in the audit log
    #[arg(long, visible_alias = "comment")]
    reason: Option<String>,
}

impl Why {
    /// As the query says it.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        given([("reason", self.reason.clone())])
    }
}

/// Whether an answer says that a second person must approve.
pub fn awaits_second(answer: &Value) -> bool {
    let state = ["/state/state", "/state/kind"].into_iter().find_map(|at| answer.pointer(at)?.as_str());
    matches!(state, Some("waiting" | "awaits_second"))
}
