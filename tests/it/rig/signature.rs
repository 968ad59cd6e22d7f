//! Signatures of webhooks, checked by our own arithmetic and by the library
//! that the authors of Standard Webhooks publish for Python.

use std::process::Command;

use plimsoll::security::SigningSecret;
use serde_json::{Value, json};

use super::{Posted, python_package};

const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
const NOT_OURS: &str = "whsec_d3JvbmctYnV0LWxvbmctZW5vdWdoLXRvLXBhc3M=";

/// Says `good` and the type for each secret that verifies, and `refused` for a
/// body that was changed and for another's secret.
const VERIFY: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
given = json.load(sys.stdin)
for secret in given['secrets']:
    print('good', Webhook(secret).verify(given['body'], given['headers'])['type'])
for secret, body in [(given['secrets'][0], given['body'] + ' '), (given['wrong'], given['body'])]:
    try:
        Webhook(secret).verify(body, given['headers'])
        print('taken')
    except WebhookVerificationError:
        print('refused')
";

/// The body of a webhook whose signature under `secret` is right.
pub fn verified(posted: &Posted, secret: &str) -> Value {
    let [id, sent_at, signatures] = HEADERS.map(|name| posted.header(name));
    let ours = SigningSecret::parse(&secret.to_owned().into()).unwrap();
    let right = ours.sign(id, sent_at.parse().unwrap(), &posted.body);
    assert!(signatures.split(' ').any(|signature| signature == right), "{signatures} lacks {right}");
    let body = posted.json();
    if let Some(said) = said_by_the_library(posted, &[secret]) {
        assert_eq!(said, format!("good {}\nrefused\nrefused\n", body["type"].as_str().unwrap()));
    }
    body
}

/// What the library says of a webhook; `None`, and a word of it, where it
/// can't be had.
pub fn said_by_the_library(posted: &Posted, secrets: &[&str]) -> Option<String> {
    let python = python_package("standardwebhooks", "1.1.0")?.join("python");
    let headers = HEADERS.map(|name| (name.to_owned(), Value::from(posted.header(name))));
    let given = json!({
        "secrets": secrets,
        "wrong": NOT_OURS,
        "headers": headers.into_iter().collect::<serde_json::Map<_, _>>(),
        "body": String::from_utf8(posted.body.clone()).unwrap(),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("given.json");
    std::fs::write(&file, given.to_string()).unwrap();
    let input = std::fs::File::open(&file).unwrap();
    let output = Command::new(python).args(["-c", VERIFY]).stdin(input).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}
