//! A receiver of webhooks: a real HTTP server that answers as it is told and
//! keeps what it got.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// How long a test waits for a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// With this status.
    Status(u16),
    /// With 503 and a `Retry-After` of so many seconds.
    RetryAfter(u64),
    /// With 302 to another path of the same server.
    Redirect,
    /// With 200 after so long.
    Slow(Duration),
    /// Not at all.
    Hang,
}

/// What was posted.
#[derive(Debug, Clone)]
pub struct Posted {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Posted {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

#[derive(Default)]
struct Inner {
    planned: VecDeque<Answer>,
    otherwise: Option<Answer>,
    posted: Vec<Posted>,
}

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub struct Listener {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Listener {
    /// One that takes everything, after it has given the planned answers.
    pub async fn start(planned: &[Answer]) -> Listener {
        let inner = Inner { planned: planned.iter().copied().collect(), ..Inner::default() };
        let inner = Arc::new(Mutex::new(inner));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let routes = Router::new().fallback(take).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(socket, routes).await });
        Listener { url, inner }
    }

    /// From now on, what is not planned is answered so.
    pub fn otherwise(&self, answer: Answer) {
        self.inner.lock().unwrap().otherwise = Some(answer);
    }

    /// What was posted so far.
    pub fn posted(&self) -> Vec<Posted> {
        self.inner.lock().unwrap().posted.clone()
    }

    /// Waits until `count` requests came.
    pub async fn wait_for(&self, count: usize) -> Vec<Posted> {
        let begin = Instant::now();
        while self.posted().len() < count {
            assert!(begin.elapsed() < PATIENCE, "only {} of {count} requests came", self.posted().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.posted()
    }
}

async fn take(
    State(inner): State<Arc<Mutex<Inner>>>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = {
        let mut inner = inner.lock().unwrap();
        let path = uri.path().to_owned();
        inner.posted.push(Posted { at: Instant::now(), path, headers, body: body.to_vec() });
        inner.planned.pop_front().or(inner.otherwise).unwrap_or(Answer::Status(204))
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::RetryAfter(seconds) => {
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", seconds.to_string())]).into_response()
        }
        Answer::Redirect => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Answer::Slow(wait) => {
            tokio::time::sleep(wait).await;
            StatusCode::OK.into_response()
        }
        Answer::Hang => std::future::pending().await,
    }
}
