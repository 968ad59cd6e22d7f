//! Stopping is a path that was laid out: the running step is finished or given
//! up in time, what it was is said, and a second signal stops at once.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::rig::Daemon;
use crate::setup::config_for;

/// A daemon that is collecting from a server that accepts and never answers.
async fn collecting_from_a_wall(shutdown_time_limit: &str) -> (TcpListener, Daemon) {
    let wall = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", wall.local_addr().unwrap());
    let limit = format!("shutdown_time_limit = \"{shutdown_time_limit}\"\n[store]");
    let config = config_for(&url, "").replace("[store]", &limit);
    let daemon = Daemon::start(&config).await;
    // The daemon asks as soon as it runs; nobody accepts, so it waits.
    let (_held, _) = wall.accept().await.unwrap();
    std::mem::forget(_held);
    (wall, daemon)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_end_is_given_up_and_named() {
    let (_wall, mut daemon) = collecting_from_a_wall("300ms").await;
    daemon.terminate();
    let status = daemon.wait().await;
    let said = daemon.said();
    assert!(status.success(), "{status}: {said}");
    assert!(said.contains("waiting for the running step") && said.contains("collect"), "{said}");
    assert!(said.contains("gave up the running step"), "{said}");
    assert!(said.contains("stopped"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let (_wall, mut daemon) = collecting_from_a_wall("10m").await;
    daemon.terminate();
    let begin = Instant::now();
    while !daemon.said().contains("a second signal stops at once") {
        assert!(begin.elapsed() < Duration::from_secs(60), "{}", daemon.said());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    daemon.terminate();
    let status = daemon.wait().await;
    assert_eq!((status.code(), status.signal()), (Some(143), None), "{}", daemon.said());
}
