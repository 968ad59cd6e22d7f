//! How much longer a cycle takes while callers send garbage: whole cycles over
//! the demo's fleet, by turns alone and with a thousand requests a second that
//! mean nothing, on connections that are kept and ones that are not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement ends where it can't go on")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use plimsoll::api::ApiSettings;
use plimsoll::app::{self, Usage};
use plimsoll::domain::Tier;
use plimsoll::engine::{Settings, Silent};
use plimsoll::series::stats;
use plimsoll::simulate;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const ROUNDS: usize = 5;
const A_SECOND: u64 = 1000;
const CALLERS: u64 = 20;
/// A few shapes of garbage; what follows the path is sent as it is.
const GARBAGE: [&str; 6] = [
    "GET /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer plim_nobody\r\n\r\n",
    "GET /no/such/path?x=%00%ff HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n[[[[[",
    "PUT /v1/tenants/a/quotas/b HTTP/1.1\r\nhost: x\r\nif-match: ???\r\ncontent-length: 0\r\n\r\n",
    "\u{1}\u{2}\u{3}nonsense\r\n\r\n",
    "GET /-/healthy HTTP/1.1\r\nbroken header\r\n\r\n",
];

#[tokio::main]
async fn main() {
    let settings = simulate::Settings::default();
    println!("{} tenants, {} days", settings.tenants, settings.days);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (quiet, _) = cycle(&settings, false).await;
        let (loud, answered) = cycle(&settings, true).await;
        println!(
            "round {round}: {quiet:.2} s alone, {loud:.2} s with {:.0} requests a second",
            answered as f64 / loud
        );
        if round > 0 {
            alone.push(quiet);
            beside.push(loud);
        }
    }
    let [alone, beside] = [alone, beside].map(|times| stats::median(&times).unwrap());
    println!("medians: {alone:.2} s alone, {beside:.2} s beside garbage, ratio {:.2}", beside / alone);
}

/// The seconds of a first cycle, and how many requests were sent meanwhile.
async fn cycle(settings: &simulate::Settings, with_garbage: bool) -> (f64, usize) {
    let fleet = simulate::fleet(settings);
    let usage = Usage::Frames(fleet.step, fleet.frames);
    let engine = Settings { discover: Some(Tier::Premium), ..Settings::default() };
    let engine = app::engine_over(usage, Vec::new(), None, engine, None).await.unwrap();
    let listener = app::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server =
        tokio::spawn(app::serve_once_computed(Arc::clone(&engine), listener, ApiSettings::default()));
    let sent = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..if with_garbage { CALLERS } else { 0 } {
        callers.spawn(call(address, caller, Arc::clone(&sent)));
    }
    let begun = Instant::now();
    let report = engine.cycle(&Silent).await.unwrap();
    assert!(report.samples > 0 && report.forecasts > 0);
    let seconds = begun.elapsed().as_secs_f64();
    callers.abort_all();
    server.abort();
    (seconds, sent.load(Ordering::Relaxed))
}

/// Sends garbage at its share of the rate, the answers unread but for the room
/// that they need.
async fn call(address: SocketAddr, caller: u64, sent: Arc<AtomicUsize>) {
    let mut timer = tokio::time::interval(Duration::from_micros(CALLERS * 1_000_000 / A_SECOND));
    let mut kept: Option<TcpStream> = None;
    for number in caller as usize.. {
        timer.tick().await;
        let stream = match kept.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(_) => continue,
            },
        };
        let text = GARBAGE[number % GARBAGE.len()];
        let _ = stream.writable().await;
        if stream.try_write(text.as_bytes()).is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
            let mut answer = [0; 4096];
            let is_open =
                stream.readable().await.is_ok() && stream.try_read(&mut answer).is_ok_and(|read| read > 0);
            kept = (is_open && number % 4 > 0).then_some(stream);
        }
    }
}
