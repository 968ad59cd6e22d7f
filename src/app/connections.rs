//! Connections to the API: how many there are at most, how long each may take to
//! say what it wants, and to take what it is given.
//!
//! Where all places are taken, the connection that has been without a request
//! for longest makes room, so that many that only wait can't keep out one that
//! asks. One that sends its request head too slowly, or waits too long for the
//! next one, is closed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::patient::Patient;
use super::server::Routes;
use crate::config::ConnectionLimits;
use crate::telemetry::Metrics;

/// How long the one that makes room may take, and how long a refusal may.
const A_MOMENT: Duration = Duration::from_secs(1);
/// How long to wait where the system gives no more connections.
const OUT_OF_FILES: Duration = Duration::from_millis(200);
/// What is said where no place is left and every one is busy.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 49\r\n\r\nno connection is left; see server.max_connections";

/// The connections that wait for a request, the one that has waited longest first.
#[derive(Default)]
struct Waiting(Mutex<(u64, BTreeMap<u64, Arc<CancellationToken>>)>);

impl Waiting {
    fn begin(&self, close: &Arc<CancellationToken>) -> u64 {
        let mut held = self.0.lock();
        held.0 += 1;
        let number = held.0;
        held.1.insert(number, Arc::clone(close));
        number
    }

    fn end(&self, number: u64) {
        self.0.lock().1.remove(&number);
    }

    /// Closes the one that has waited longest; `false` where none waits.
    fn close_oldest(&self) -> bool {
        let oldest = self.0.lock().1.pop_first();
        oldest.is_some_and(|(_, close)| {
            close.cancel();
            true
        })
    }
}

/// Accepts connections, and what each of them needs.
pub(super) struct Door {
    routes: Routes,
    limits: ConnectionLimits,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
    waiting: Arc<Waiting>,
}

impl Door {
    pub fn new(routes: Routes, limits: ConnectionLimits, metrics: Arc<Metrics>) -> Self {
        let places = Arc::new(Semaphore::new(limits.max_connections));
        Door { routes, limits, metrics, places, waiting: Arc::default() }
    }

    /// Lets connections in until `stop`; those that are open then are given
    /// `grace` to end their requests.
    pub async fn serve(self, listener: TcpListener, grace: Duration, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => self.let_in(stream, peer, &stop).await,
                // Of the caller, who has gone again, or of the system, which has no
                // file left: then others must end first.
                Err(error) => {
                    tracing::debug!("failed to accept a connection: {error}");
                    tokio::time::sleep(OUT_OF_FILES).await;
                }
            }
        }
        drop(listener);
        let all = u32::try_from(self.limits.max_connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(grace, self.places.acquire_many(all)).await.is_err() {
            tracing::warn!("stopping: gave up open connections after {grace:?}");
        }
    }

    async fn let_in(&self, stream: TcpStream, peer: SocketAddr, stop: &CancellationToken) {
        let Some(place) = self.place().await else {
            self.metrics.connection_refused();
            tokio::spawn(tokio::time::timeout(A_MOMENT, refuse(stream)));
            return;
        };
        let open = self.limits.max_connections - self.places.available_permits();
        self.metrics.connections(open);
        let connection = Connection {
            routes: self.routes.clone(),
            limits: self.limits.clone(),
            waiting: Arc::clone(&self.waiting),
            close: Arc::new(stop.child_token()),
        };
        tokio::spawn(connection.serve(stream, peer, place));
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        if !self.waiting.close_oldest() {
            return None;
        }
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::time::timeout(A_MOMENT, place).await.ok()?.ok()
    }
}

async fn refuse(stream: TcpStream) {
    if stream.writable().await.is_ok() {
        // Whoever has gone need not be told.
        let _ = stream.try_write(FULL);
    }
}

/// One connection.
struct Connection {
    routes: Routes,
    limits: ConnectionLimits,
    waiting: Arc<Waiting>,
    /// Closes it: at once where it waits for a request, else after that.
    close: Arc<CancellationToken>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let Connection { routes, limits, waiting, close } = self;
        let number = Arc::new(Mutex::new(waiting.begin(&close)));
        let has_asked = Arc::new(AtomicBool::new(false));
        let answer = {
            let (waiting, number, close) = (Arc::clone(&waiting), Arc::clone(&number), Arc::clone(&close));
            let has_asked = Arc::clone(&has_asked);
            service_fn(move |mut request: Request<Incoming>| {
                has_asked.store(true, Ordering::Relaxed);
                waiting.end(*number.lock());
                request.extensions_mut().insert(ConnectInfo(peer));
                let answer = routes.answer(request);
                let (waiting, number, close) =
                    (Arc::clone(&waiting), Arc::clone(&number), Arc::clone(&close));
                async move {
                    let answer = answer.await;
                    *number.lock() = waiting.begin(&close);
                    answer
                }
            })
        };
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time_out)
            .max_headers(limits.max_headers)
            .max_buf_size(limits.max_head);
        let stream = TokioIo::new(Patient::new(stream, limits.stalled_time_out));
        let mut connection = pin!(builder.serve_connection(stream, answer));
        // What goes wrong on the way to one caller is the caller's to see.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = close.cancelled() => {
                // One that never asked would wait for its first request still.
                if has_asked.load(Ordering::Relaxed) {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        }
        waiting.end(*number.lock());
        drop(place);
    }
}
