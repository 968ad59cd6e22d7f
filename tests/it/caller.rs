//! Calls of the daemon's API, as a status and JSON.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::rig::Daemon;

/// How long a test waits for something to become true.
const PATIENCE: Duration = Duration::from_secs(90);

/// A caller with a token, also while the daemon comes and goes.
#[derive(Clone)]
pub struct Caller {
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Caller {
    /// A caller of this daemon.
    pub fn of(daemon: &Daemon) -> Caller {
        Caller { url: daemon.url.clone(), token: daemon.token.clone(), http: reqwest::Client::new() }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Caller {
        Caller { token: token.to_owned(), ..self.clone() }
    }

    /// A `GET` of JSON.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None, None).await.unwrap()
    }

    /// A `GET` of text.
    pub async fn text(&self, path: &str) -> (u16, String) {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// A `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call(Method::POST, path, None, Some(body)).await.unwrap()
    }

    /// A `PUT` of JSON with an `If-Match`.
    pub async fn put(&self, path: &str, tag: Option<&str>, body: &Value) -> (u16, Value) {
        self.call(Method::PUT, path, tag, Some(body)).await.unwrap()
    }

    /// Any call; an error where the daemon is gone.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        tag: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(tag) = tag {
            request = request.header("If-Match", tag);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// Waits until something is true; fails with `what` where it does not
    /// become so.
    pub async fn wait_until<F: Future<Output = bool>>(&self, what: &str, mut is_so: impl FnMut() -> F) {
        let begin = Instant::now();
        while !is_so().await {
            assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
