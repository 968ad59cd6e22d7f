//! The page of docs/ about the API, made from the OpenAPI document and the table
//! of roles, and held to them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::*;

const HEAD: &str = "\
# The API

Every call, made from the OpenAPI document that a running daemon gives at `/openapi.json` (with a token); a test holds
this page to it. The document also holds each field of each body, with its unit and limits.

- **Token.** `Authorization: Bearer TOKEN`, but for `/-/healthy` and `/-/ready`. A call needs a token of at least the role
  in its row, for the tenant that it concerns. ² marks calls that ask for the code of an authenticator (`X-TOTP-Code`)
  where the tenant's template has `mfa_required`.
- **Bodies** are JSON; fields that are not known are refused. Times are RFC 3339 in UTC, amounts of money are texts with
  their currency.
- **Errors** are `application/problem+json` (RFC 9457): `title`, `status`, `detail` says what is wrong and what to do.
  Every call may also answer 401 (no token, or one that is not known), 403 (too small a role, or another tenant), 429
  (too many calls; `Retry-After`), 503 (no answer within `server.request_time_out`).
- **Pages.** Lists answer `{items, next}`; `cursor=NEXT` asks for the page after, `limit` for its size.
- **Versions.** What can be changed has a generation or version in its `ETag`; a write names it in `If-Match`, and gets 412
  where somebody else came first. Quotas and templates ask for it (428), of tenants it may be left out. A read with
  `If-None-Match` gets 304 while nothing has changed.
- **Once.** Any write may carry an `Idempotency-Key`, 1 to 255 characters, a new one for each. The same write sent again with
  it (by the same token, within `access.idempotency_life`) gets the answer that the first one got, with
  `Idempotency-Replayed: true`, and is not done again; another request under the key gets 422, and one that comes while
  the first is under way 409. Only what was done is kept: a refusal changed nothing, so the request may be sent again
  once that is mended. Answers that hold a secret are kept nowhere: sent again, such a request gets 409. The oldest are
  forgotten beyond `access.max_idempotency_keys` and `max_idempotency_bytes`. Answers outlive a restart; a daemon that is
  killed in the instant between a write and its answer has lost that one: then a quota or a name is met with 412 or 409,
  and a silence or a marker is made a second time.
- **Requests** carry `X-Request-Id`, or are given one; it stands in the answer, in problems as `request_id`, in the logs and in
  the audit log. A `traceparent` (W3C Trace Context) makes the call a part of the caller's trace.
";

/// Said above the table, for all.
const COMMON: [&str; 4] = ["401", "403", "429", "503"];

fn line(path: &str, method: &str, operation: &Value) -> String {
    let rule = access::RULES.iter().find(|rule| rule.method == method && rule.path == path);
    let role = rule.map_or("none", |rule| rule.role.name());
    let factor = if rule.is_some_and(|rule| rule.decides) { " ²" } else { "" };
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let takes: Vec<String> = parameters
        .iter()
        .filter(|one| one["in"] != "path" && one["name"] != "Idempotency-Key")
        .map(|one| {
            let mark = if one["required"] == true { " (needed)" } else { "" };
            format!("`{}`{mark}", one["name"].as_str().unwrap_or_default())
        })
        .collect();
    let schema = |content: &Value| {
        let schema = &content["application/json"]["schema"]["$ref"];
        schema.as_str().and_then(|name| name.rsplit('/').next()).map(|name| format!("`{name}`"))
    };
    let body = schema(&operation["requestBody"]["content"]).map(|name| format!("body {name}"));
    let takes: Vec<String> = takes.into_iter().chain(body).collect();
    let answers: Vec<String> = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(status, _)| !COMMON.contains(&status.as_str()))
        .map(|(status, answer)| match schema(&answer["content"]) {
            Some(name) => format!("{status} {name}"),
            None => status.clone(),
        })
        .collect();
    let summary: Vec<&str> = operation["summary"].as_str().unwrap_or_default().split_whitespace().collect();
    let summary = summary.join(" ").replace('|', "\\|");
    let (takes, answers) = (takes.join(", "), answers.join(", "));
    format!("| `{method} {path}` | {role}{factor} | {summary} | {takes} | {answers} |")
}

fn page(document: &Value) -> String {
    let mut out = HEAD.to_owned();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let about = tag["description"].as_str().unwrap_or_default();
        let _ = writeln!(
            out,
            "\n## {name}\n\n{about}.\n\n| call | role | what | takes | answers |\n|---|---|---|---|---|"
        );
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if operation["tags"][0] == name {
                    let _ = writeln!(out, "{}", line(path, &method.to_uppercase(), operation));
                }
            }
        }
    }
    out
}

#[tokio::test]
async fn the_page_of_the_api_is_what_the_document_says() {
    let (api, _) = api().await;
    let (_, _, document) = get(&api, "/openapi.json").await;
    let described = page(&document);
    let calls = described.lines().filter(|line| line.starts_with("| `")).count();
    // The document itself is the one call that it doesn't hold; two need no token.
    assert_eq!(calls, access::RULES.len() - 1 + 2, "each call has its line");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    if std::env::var_os("PLIMSOLL_BLESS").is_some() {
        fs::write(&path, &described).unwrap();
    }
    let stands = fs::read_to_string(&path).unwrap();
    assert!(stands == described, "run the test again with PLIMSOLL_BLESS=1 to write {}", path.display());
}
