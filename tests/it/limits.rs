//! What the API holds against callers that send too much, too slowly or never:
//! it stays there for those who ask properly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage, nowhere};

/// A daemon with small limits.
async fn daemon() -> Daemon {
    let limits = "max_connections = 60\nhead_time_out = \"2s\"\nmax_head = \"8KiB\"\nmax_headers = 20\n\
        stalled_time_out = \"1s\"\nrequest_time_out = \"2s\"\nmax_body = \"16KiB\"\nlisten_address";
    Daemon::start(&config_for(&nowhere(), "").replace("listen_address", limits)).await
}

fn address(daemon: &Daemon) -> String {
    daemon.url.trim_start_matches("http://").to_owned()
}

/// The first line of what the daemon says until it closes the connection, and
/// how long that took.
async fn said(stream: &mut TcpStream) -> (String, Duration) {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(60), read).await;
    // A connection that is reset is closed as well.
    let _ = read.expect("the connection is never closed");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (text.lines().next().unwrap_or_default().to_owned(), begun.elapsed())
}

async fn sent(daemon: &Daemon, text: &str) -> (String, Duration) {
    sent_to(&address(daemon), text).await
}

async fn sent_to(target: &str, text: &str) -> (String, Duration) {
    let mut stream = TcpStream::connect(target).await.unwrap();
    let _ = stream.write_all(text.as_bytes()).await;
    said(&mut stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_oversized_requests_are_ended() {
    let daemon = daemon().await;
    let bearer = format!("authorization: Bearer {}\r\n", daemon.token);

    // A head that never ends, however steadily it comes.
    let mut slow = TcpStream::connect(address(&daemon)).await.unwrap();
    slow.write_all(b"GET /-/healthy HTTP/1.1\r\n").await.unwrap();
    let begun = Instant::now();
    let mut closed = false;
    while begun.elapsed() < Duration::from_secs(30) && !closed {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut byte = [0; 64];
        let written = slow.write_all(b"x: y\r\n").await;
        let read = tokio::time::timeout(Duration::from_millis(1), slow.read(&mut byte)).await;
        closed = written.is_err() || matches!(read, Ok(Ok(0) | Err(_)));
    }
    assert!(closed, "a head of drops is listened to for ever");

    // A connection that says nothing.
    let (nothing, _) = sent(&daemon, "").await;
    assert!(nothing.is_empty() || nothing.contains("408"), "{nothing}");

    let large = format!("GET /-/healthy HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(20_000));
    assert!(sent(&daemon, &large).await.0.contains("431"), "{:?}", sent(&daemon, &large).await);
    let many: String = (0..40).map(|n| format!("x-{n}: y\r\n")).collect();
    let many = format!("GET /-/healthy HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    assert!(sent(&daemon, &many).await.0.contains("431"), "{:?}", sent(&daemon, &many).await);
    assert!(sent(&daemon, "\u{1}garbage\r\n\r\n").await.0.contains("400"));

    // A body that stops in the middle.
    let half = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\n{bearer}content-type: application/json\r\ncontent-length: 100\r\n\
         connection: close\r\n\r\n{{\"id\""
    );
    let (status, took) = sent(&daemon, &half).await;
    assert!(status.contains("503"), "{status}");
    assert!(took >= Duration::from_secs(2), "{took:?}");

    let caller = Caller::of(&daemon);
    let post = |body: String| {
        daemon
            .request(Method::POST, "/v1/tenants")
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let big = post(format!("{{\"id\": \"{}\"}}", "x".repeat(20_000))).await.unwrap();
    assert_eq!(big.status().as_u16(), 413);
    let deep = post(format!("{{\"id\": \"a\", \"tier\": \"FREE\", \"quotas\": {}", "[".repeat(10_000)))
        .await
        .unwrap();
    assert!(deep.status().is_client_error(), "{}", deep.status());
    let deep = post(format!("{}{}", "[".repeat(8_000), "]".repeat(8_000))).await.unwrap();
    assert!(deep.status().is_client_error(), "{}", deep.status());
    assert_eq!(caller.text("/-/healthy").await.0, 200);
    assert!(!daemon.said().contains("panicked"), "{}", daemon.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_is_given_up() {
    let daemon = daemon().await;
    let mut deaf = TcpStream::connect(address(&daemon)).await.unwrap();
    let ask =
        format!("GET /openapi.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", daemon.token);
    // Far more than what fits between here and there.
    let asked = tokio::time::timeout(Duration::from_secs(30), async {
        while deaf.write_all(ask.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(asked.await.is_ok(), "a reader that takes nothing is waited for");
    assert_eq!(Caller::of(&daemon).text("/-/healthy").await.0, 200);
}

/// So many files are left to all but the idle connections.
const SPARE_FILES: usize = 1_000;

/// Lets this process, and the daemon that it starts, have as many files open as
/// the system allows, where that is more than the shell does; gives how many.
fn open_files() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let is_raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    usize::try_from(if is_raised { hard } else { soft }).unwrap_or(usize::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    // Before the daemon starts, which inherits it.
    let (wanted, files) = (10_000_usize, open_files());
    let daemon = daemon().await;
    let many = wanted.min(files.saturating_sub(SPARE_FILES).max(files / 2));
    if many < wanted {
        eprintln!("with {many} idle connections in the place of {wanted}: only {files} files may be open");
    }
    let target = address(&daemon);
    let mut idle = Vec::new();
    for number in 0..many {
        let mut stream = TcpStream::connect(&target).await.unwrap();
        if number % 2 == 0 {
            // Half of them have begun to speak.
            let _ = stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost").await;
        }
        idle.push(stream);
        if number % 500 == 499 {
            // Each with a connection of its own, as the first request of a caller.
            let caller = Caller::of(&daemon);
            assert_eq!(caller.text("/-/healthy").await.0, 200, "after {number} connections");
        }
    }
    assert_eq!(idle.len(), many);
    let (status, metrics) = Caller::of(&daemon).text("/metrics").await;
    assert_eq!(status, 200);
    let open = metrics.lines().find_map(|line| line.strip_prefix("plimsoll_http_connections ")).unwrap();
    assert!(open.parse::<usize>().unwrap() <= 60, "{open} connections are open");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_connection_is_busy_the_next_is_refused_at_once() {
    let daemon = daemon().await;
    let target = address(&daemon);
    let begin = format!(
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{",
        daemon.token
    );
    // They have two seconds, in which a busy machine may not have got to all of
    // them: then they are begun again.
    let (mut busy, mut refused) = (Vec::new(), false);
    for _ in 0..10 {
        busy.clear();
        for _ in 0..60 {
            let mut stream = TcpStream::connect(&target).await.unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            busy.push(stream);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (status, took) = sent(&daemon, "").await;
        refused = status.contains("503") && took < Duration::from_secs(1);
        if refused {
            break;
        }
    }
    assert!(refused, "a sixty-first connection is let wait");
    drop(busy);
    let caller = Caller::of(&daemon);
    let answers = || async { caller.call(Method::GET, "/-/healthy", None, None).await.is_ok() };
    caller.wait_until("there is room again", answers).await;
}

/// How many send garbage at once.
const SENDERS: usize = 8;
/// A few shapes of it.
const GARBAGE: [&str; 6] = [
    "GET /v1/tenants HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer plim_nobody\r\n\r\n",
    "GET /no/such/path?x=%00%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
     content-length: 5\r\n\r\n[[[[[",
    "PUT /v1/tenants/a/quotas/b HTTP/1.1\r\nhost: x\r\nconnection: close\r\nif-match: ???\r\n\
     content-length: 0\r\n\r\n",
    "\u{1}\u{2}\u{3}nonsense\r\n\r\n",
    "GET /-/healthy HTTP/1.1\r\nbroken header\r\n\r\n",
];

/// Sends garbage until it is enough; gives the first line of each answer.
async fn send_garbage(target: String, first: usize, enough: Arc<AtomicBool>) -> Vec<String> {
    let mut answers = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        let text = GARBAGE[(first + answers.len()) % GARBAGE.len()];
        answers.push(sent_to(&target, text).await.0);
        // All together up to a thousand a second.
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    answers
}

/// That is what `cargo bench --bench garbage` measures; here it only must do no harm.
#[tokio::test(flavor = "multi_thread")]
async fn cycles_go_on_while_garbage_comes() {
    let prometheus = Prometheus::start(&daily_usage("acme", 7, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    let cycles = || async {
        let (_, metrics) = caller.text("/metrics").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix("plimsoll_cycles_total "));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let (before, begun) = (cycles().await, Instant::now());
    let enough = Arc::new(AtomicBool::new(false));
    let send = |first| tokio::spawn(send_garbage(address(&daemon), first, Arc::clone(&enough)));
    let senders: Vec<_> = (0..SENDERS).map(send).collect();
    let went_on = || async {
        assert_eq!(caller.text("/-/healthy").await.0, 200);
        begun.elapsed() >= Duration::from_secs(2) && cycles().await >= before + 2
    };
    caller.wait_until("two cycles end beside two seconds of garbage", went_on).await;
    enough.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for sender in senders {
        for answer in sender.await.unwrap() {
            // Where the daemon closes before all is sent, the system may drop its word.
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
            answered += usize::from(!answer.is_empty());
        }
    }
    assert!(answered > SENDERS, "only {answered} answers");
    assert!(!daemon.said().contains("panicked"), "{}", daemon.said());
}
