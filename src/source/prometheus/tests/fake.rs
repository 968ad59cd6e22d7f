//! A server that answers as the test says, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response};
use futures::stream;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One query that came in.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub headers: HeaderMap,
    /// Which one it is, from 0.
    pub number: usize,
    /// When it came.
    pub at: Instant,
    /// The parameters, from the URL or the form.
    pub params: HashMap<String, String>,
}

impl Asked {
    pub fn is_count(&self) -> bool {
        self.params["query"].starts_with("count(")
    }

    pub fn seconds(&self, name: &str) -> f64 {
        self.params[name].parse().unwrap()
    }

    /// The instants at which a range query is evaluated, in seconds.
    pub fn instants(&self) -> Vec<f64> {
        let (start, end, step) = (self.seconds("start"), self.seconds("end"), self.seconds("step"));
        (0..).map(|n| start + f64::from(n) * step).take_while(|at| *at <= end).collect()
    }

    /// An answer to a range query: the same value for all, the number of the 300 s that the
    /// instant lies in.
    pub fn matrix(&self, labels: &[&str]) -> Reply {
        let values: Vec<String> =
            self.instants().iter().map(|at| format!("[{at},\"{}\"]", (at / 300.0).floor())).collect();
        let series: Vec<String> = labels
            .iter()
            .map(|labels| format!(r#"{{"metric":{{{labels}}},"values":[{}]}}"#, values.join(",")))
            .collect();
        Reply::success("matrix", &format!("[{}]", series.join(",")))
    }

    /// The answer to a count.
    pub fn count(&self, series: usize) -> Reply {
        let values: Vec<String> = self.instants().iter().map(|at| format!("[{at},\"{series}\"]")).collect();
        Reply::success("matrix", &format!(r#"[{{"metric":{{}},"values":[{}]}}]"#, values.join(",")))
    }
}

/// What the server does.
pub enum Reply {
    Text(u16, Vec<(&'static str, String)>, String),
    /// Says nothing, ever.
    Hang,
    /// Breaks off in the middle.
    Half,
    /// Another one, after a while.
    Late(Duration, Box<Reply>),
}

impl Reply {
    pub fn success(kind: &str, result: &str) -> Reply {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        Reply::Text(200, vec![("content-type", "application/json".to_owned())], body)
    }

    pub fn error(status: u16, kind: &str, message: &str) -> Reply {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"{message}"}}"#);
        Reply::Text(status, vec![("content-type", "application/json".to_owned())], body)
    }
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server; it stops when dropped.
pub struct Fake {
    pub url: String,
    log: Arc<Mutex<Log>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    at_once: usize,
    most_at_once: usize,
}

impl Fake {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Log::default()));
        let (kept, answer): (_, Arc<Answer>) = (Arc::clone(&log), Arc::new(answer));
        let app =
            Router::new().fallback(move |request: Request| handle(request, kept.clone(), answer.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Fake { url, log, task }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().asked.clone()
    }

    pub fn most_at_once(&self) -> usize {
        self.log.lock().most_at_once
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn handle(request: Request, log: Arc<Mutex<Log>>, answer: Arc<Answer>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let form = to_bytes(body, 1 << 20).await.unwrap();
    let form = String::from_utf8(form.to_vec()).unwrap();
    let text = format!("http://fake/?{}&{form}", parts.uri.query().unwrap_or_default());
    let params = reqwest::Url::parse(&text).unwrap().query_pairs().into_owned().collect();
    let asked = {
        let mut log = log.lock();
        log.at_once += 1;
        log.most_at_once = log.most_at_once.max(log.at_once);
        let asked = Asked {
            method: parts.method,
            headers: parts.headers,
            number: log.asked.len(),
            at: Instant::now(),
            params,
        };
        log.asked.push(asked.clone());
        asked
    };
    // Long enough that queries sent together meet here.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut reply = answer(&asked);
    if let Reply::Late(after, late) = reply {
        tokio::time::sleep(after).await;
        reply = *late;
    }
    log.lock().at_once -= 1;
    match reply {
        Reply::Late(..) => panic!("late and late again"),
        Reply::Text(status, headers, body) => {
            let response = Response::builder().status(status);
            headers
                .into_iter()
                .fold(response, |response, (name, value)| response.header(name, value))
                .body(Body::from(body))
                .unwrap()
        }
        Reply::Hang => std::future::pending().await,
        Reply::Half => {
            let parts = [Ok("{\"status\":"), Err(std::io::Error::other("broken off"))];
            Response::new(Body::from_stream(stream::iter(parts)))
        }
    }
}
