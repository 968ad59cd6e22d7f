//! A caller of a running daemon's API, for the commands that need one.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::template::Fault;
use crate::telemetry::causes;

/// The most entries that are asked for at once.
const PAGE: usize = 500;
/// How often a write is sent whose connection breaks off.
const TRIES: usize = 3;

/// Where the daemon is, and who calls.
#[derive(Debug, Clone, Args)]
pub struct Server {
    /// Where the daemon listens
    #[arg(long, env = "PLIMSOLL_SERVER", default_value = "http://127.0.0.1:7117", global = true)]
    pub server: Url,
    /// A token of its API; better given in the environment, where others can't
    /// read it from the list of processes
    // An id of its own, since what a subcommand is about can be a token, too.
    #[arg(
        id = "api_token",
        long = "token",
        value_name = "TOKEN",
        env = "PLIMSOLL_TOKEN",
        hide_env_values = true,
        global = true
    )]
    token: Option<SecretString>,
    /// How long an answer may take, such as 30s
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration, global = true)]
    time_out: Duration,
}

/// Why the daemon gave no answer that can be used; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no token.
    #[error("call the daemon without a token; give one in PLIMSOLL_TOKEN or with --token")]
    NoToken,
    /// Nobody answered.
    #[error("reach the daemon at {url}: {message}; check --server and that it runs")]
    Unreachable {
        /// Where.
        url: Url,
        /// What happened.
        message: String,
    },
    /// It answered with a problem.
    #[error("have that done: the daemon answered {status}: {detail}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        detail: String,
        /// What is wrong with a template.
        faults: Vec<Fault>,
    },
    /// The answer is no JSON.
    #[error("read the answer of {0}; is it a plimsoll?")]
    NoJson(Url),
}

/// What is read of a problem document.
#[derive(Debug, Deserialize)]
struct Told {
    detail: String,
    #[serde(default)]
    faults: Vec<Fault>,
}

impl ClientError {
    /// Whether the command line is at fault.
    pub fn is_bad_input(&self) -> bool {
        match self {
            ClientError::NoToken => true,
            ClientError::Refused { status, .. } => {
                matches!(status.as_u16(), 400 | 404 | 422)
            }
            ClientError::Unreachable { .. } | ClientError::NoJson(_) => false,
        }
    }
}

/// The parts of a query that are given.
pub fn given<const N: usize>(parts: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What a request carries.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(Value),
    /// YAML, as text.
    Yaml(String),
}

/// Sends a request; a write whose connection breaks off is sent again under the
/// same Idempotency-Key, so that it is done once.
async fn send_until_answered(request: RequestBuilder, writes: bool) -> Result<Response, reqwest::Error> {
    if !writes {
        return request.send().await;
    }
    let request = request.header("Idempotency-Key", Uuid::from_bytes(rand::random()).to_string());
    for _ in 1..TRIES {
        let Some(again) = request.try_clone() else { break };
        match again.send().await {
            // Nobody is there, or the caller has waited long enough.
            Err(error) if !error.is_connect() && !error.is_timeout() => {}
            outcome => return outcome,
        }
    }
    request.send().await
}

/// A request that is on its way.
struct Outgoing<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, String)],
    headers: &'a [(&'a str, String)],
    body: Body,
}

impl Server {
    /// Calls one path such as `/v1/incidents` and waits for the answer; an
    /// empty one is `null`.
    ///
    /// # Errors
    /// Where nobody answers, or the daemon refuses.
    pub fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map_or(Body::Nothing, |body| Body::Json(body.clone()));
        self.send_body(method, path, query, &[], body)
    }

    /// The same with any body and further headers.
    ///
    /// # Errors
    /// Where nobody answers, or the daemon refuses.
    pub fn send_body(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        headers: &[(&str, String)],
        body: Body,
    ) -> anyhow::Result<Value> {
        let request = Outgoing { method, path, query, headers, body };
        let (url, body) = self.run(request)?;
        match body.is_empty() {
            true => Ok(Value::Null),
            false => Ok(serde_json::from_slice(&body).map_err(|_| ClientError::NoJson(url))?),
        }
    }

    /// Reads a path whose answer is text, and no JSON.
    ///
    /// # Errors
    /// Where nobody answers, or the daemon refuses.
    pub fn text(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(path, query)?).into_owned())
    }

    /// Reads a path whose answer is a file of any kind.
    ///
    /// # Errors
    /// Where nobody answers, or the daemon refuses.
    pub fn bytes(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Vec<u8>> {
        let (method, body) = (Method::GET, Body::Nothing);
        Ok(self.run(Outgoing { method, path, query, headers: &[], body })?.1)
    }

    /// All pages of a list as one, with what stands beside the entries of the
    /// last.
    ///
    /// # Errors
    /// Where nobody answers, or the daemon refuses.
    pub fn all(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut items = Vec::new();
        let mut last = self.each_page(path, query, |page| {
            items.append(page);
            Ok(())
        })?;
        last["items"] = Value::Array(items);
        Ok(last)
    }

    /// Shows the entries of each page of a list; gives the last page without
    /// them.
    ///
    /// # Errors
    /// Where nobody answers, the daemon refuses, or `show` fails.
    pub fn each_page(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut show: impl FnMut(&mut Vec<Value>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Value> {
        let mut query = [query, &[("limit", PAGE.to_string())]].concat();
        loop {
            let mut page = self.call(Method::GET, path, &query, None)?;
            if let Value::Array(mut items) = page["items"].take() {
                show(&mut items)?;
            }
            let Some(next) = page["next"].as_str().map(str::to_owned) else { return Ok(page) };
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", next));
        }
    }

    /// Reads a path whose answer may be as large as a store, piece by piece.
    /// The time limit counts for each piece.
    ///
    /// # Errors
    /// Where nobody answers, the daemon refuses or breaks off, or `out` takes
    /// no more.
    pub fn download(&self, path: &str, out: &mut impl Write) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = reqwest::Client::builder().read_timeout(self.time_out);
            let outgoing =
                Outgoing { method: Method::GET, path, query: &[], headers: &[], body: Body::Nothing };
            let mut response = self.answer(client, outgoing).await?.1;
            while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(error))? {
                out.write_all(&piece)?;
            }
            Ok(out.flush()?)
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> ClientError {
        ClientError::Unreachable { url: self.server.clone(), message: causes(&error.without_url()) }
    }

    fn run(&self, request: Outgoing<'_>) -> anyhow::Result<(Url, Vec<u8>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(self.send(request))?)
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<(Url, Vec<u8>), ClientError> {
        let client = reqwest::Client::builder().timeout(self.time_out);
        let (url, response) = self.answer(client, outgoing).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
        Ok((url, bytes.into()))
    }

    /// The answer to a request, of which only the head was read.
    async fn answer(
        &self,
        client: ClientBuilder,
        outgoing: Outgoing<'_>,
    ) -> Result<(Url, Response), ClientError> {
        let Outgoing { method, path, query, headers, body } = outgoing;
        let token = self.token.as_ref().ok_or(ClientError::NoToken)?;
        let mut url = self.server.clone();
        url.set_path(&format!("{}{path}", self.server.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let http = client.build().map_err(|error| self.unreachable(error))?;
        let writes = !method.is_safe();
        let mut request = http.request(method, url.clone()).bearer_auth(token.expose_secret());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request = match body {
            Body::Nothing => request,
            Body::Json(json) => request.json(&json),
            Body::Yaml(text) => request.header("content-type", "application/yaml").body(text),
        };
        let sent = send_until_answered(request, writes).await;
        let response = sent.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if !status.is_success() {
            let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let told = serde_json::from_str(&text).unwrap_or(Told { detail: text, faults: Vec::new() });
            return Err(ClientError::Refused { status, detail: told.detail, faults: told.faults });
        }
        Ok((url, response))
    }
}
