//! Kills a writing process at any moment, and starves one of disk, then looks
//! whether all that it was promised is there.
//!
//! The test binary starts itself again as the process that writes.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::tests::{open, over_both};
use super::*;
use crate::ports::{Expect, append_key};
use crate::store::conformance::{append, commit, put};

/// Names the folder for the process that writes, and the kind of the store.
const FOLDER: &str = "PLIMSOLL_TEST_STORE";
const KIND: &str = "PLIMSOLL_TEST_STORE_KIND";
/// How often a process that writes is killed; 500 are the long form.
const KILLS: &str = "PLIMSOLL_TEST_KILLS";

over_both!(
    nothing_answered_is_lost_by_kill_9,
    a_disk_that_takes_no_more_fails_commits_and_keeps_what_it_took
);
/// Writers in that process.
const WRITERS: usize = 8;
/// What it says when commits began to fail and health told so.
const REFUSED: &str = "refused";

/// The process that writes: for each commit that was answered it prints the
/// number of the writer and of the turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other tests in a process of its own"]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let kind = std::env::var(KIND).unwrap();
    let kind = DiskKind::ALL.into_iter().find(|one| one.name() == kind).unwrap();
    // The values are rewritten again and again, and that is killed as well.
    let settings = DiskSettings { compact_above: 0, compact_ratio: 1.2, ..DiskSettings::default() };
    let store = Arc::new(DiskStore::open(Path::new(&folder), kind, settings).unwrap());
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write_on(Arc::clone(&store), writer)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    if store.health().await.problem.is_some() {
        say(REFUSED);
    }
}

fn say(line: &str) {
    // With the newline in one write, so that a kill can't tear it.
    std::io::stdout().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

fn key(writer: usize, turn: u64) -> String {
    format!("{writer}/{turn:08}")
}

fn value(writer: usize, turn: u64) -> Vec<u8> {
    let length = if turn % 10 == 9 { 6000 } else { 20 + 37 * (turn as usize % 17) };
    (0..length).map(|place| (place as u64 * 31 + turn * 7 + writer as u64) as u8).collect()
}

/// Writes until a commit fails: a value of its own and a pointer to it in one
/// batch, with an entry in the log.
async fn write_on(store: Arc<DiskStore>, writer: usize) {
    let pointer = format!("last-{writer}");
    let last = store.get(Table::Tenants, &pointer).await.unwrap();
    // Each turn raises the pointer's version by one.
    for turn in last.map_or(0, |last| last.version).. {
        let expect = if turn == 0 { Expect::Absent } else { Expect::Version(turn) };
        let written = commit(
            &*store,
            [
                put(&key(writer, turn), Expect::Absent, &value(writer, turn)),
                put(&pointer, expect, turn.to_string().as_bytes()),
                append(key(writer, turn).as_bytes()),
            ],
        );
        if written.await.is_err() {
            return;
        }
        say(&format!("{writer} {turn}"));
    }
}

fn start(folder: &Path, kind: DiskKind, shell: Option<&str>) -> Child {
    let binary = std::env::current_exe().unwrap();
    let mut command = match shell {
        Some(before) => {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]).arg(binary);
            command
        }
        None => Command::new(binary),
    };
    command.args(["--exact", "store::disk::crash::child", "--ignored", "--nocapture"]);
    command
        .env(FOLDER, folder)
        .env(KIND, kind.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what a process says until its end; gives the number of answered turns
/// for each writer, and whether it said that it was refused.
fn listen(output: ChildStdout, answered: &mut [u64; WRITERS]) -> bool {
    let mut refused = false;
    for line in BufReader::new(output).lines() {
        let line = line.unwrap();
        refused |= line == REFUSED;
        let Some((writer, turn)) = line.split_once(' ') else { continue };
        let (Ok(writer), Ok(turn)) = (writer.parse::<usize>(), turn.parse::<u64>()) else { continue };
        assert_eq!(turn, answered[writer], "turns are answered in order");
        answered[writer] += 1;
    }
    refused
}

/// All that was answered must be there, each batch whole, the log without holes.
/// What was not answered may be there: then it counts as answered from now on.
async fn check(folder: &Path, kind: DiskKind, answered: &mut [u64; WRITERS]) {
    let store = open(folder, kind);
    assert_eq!(store.health().await.problem, None);
    let mut total = 0;
    for (writer, answered) in answered.iter_mut().enumerate() {
        let pointer = store.get(Table::Tenants, &format!("last-{writer}")).await.unwrap();
        let there = pointer.as_ref().map_or(0, |pointer| pointer.version);
        assert!(there >= *answered, "writer {writer}: {answered} were answered, {there} are there");
        assert!(there <= *answered + 1, "writer {writer} has one commit under way at a time");
        let prefix = format!("{writer}/");
        let found = store.scan(Table::Tenants, &prefix, None, Order::Upwards, usize::MAX).await.unwrap();
        assert_eq!(found.len() as u64, there);
        for (turn, (name, found)) in found.into_iter().enumerate() {
            assert_eq!(name, key(writer, turn as u64));
            assert_eq!(found.bytes, value(writer, turn as u64), "{name}");
        }
        *answered = there;
        total += there;
    }
    let log = store.scan(Table::Audit, "", None, Order::Upwards, usize::MAX).await.unwrap();
    assert_eq!(log.len() as u64, total);
    assert!(log.iter().zip(1..).all(|((key, _), number)| *key == append_key(number)));
}

async fn nothing_answered_is_lost_by_kill_9(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(7117);
    let mut answered = [0; WRITERS];
    let kills = std::env::var(KILLS).map_or(6, |kills| kills.parse().unwrap());
    for _ in 0..kills {
        let mut child = start(folder.path(), kind, None);
        // The longest is long enough for a start, also on a machine that is busy.
        let until = Duration::from_millis(random.random_range(50..600));
        let output = child.stdout.take().unwrap();
        let listener = thread::spawn(move || {
            listen(output, &mut answered);
            answered
        });
        thread::sleep(until);
        child.kill().unwrap();
        child.wait().unwrap();
        answered = listener.join().unwrap();
        check(folder.path(), kind, &mut answered).await;
    }
    assert!(answered.iter().sum::<u64>() > 100, "{answered:?}");
}

async fn a_disk_that_takes_no_more_fails_commits_and_keeps_what_it_took(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let mut answered = [0; WRITERS];
    // No file may grow beyond 4 MB, and growing further is an error.
    let mut child = start(folder.path(), kind, Some("trap '' XFSZ; ulimit -f 8192"));
    let refused = listen(child.stdout.take().unwrap(), &mut answered);
    assert!(child.wait().unwrap().success());
    assert!(refused, "health must tell");
    assert!(answered.iter().sum::<u64>() > 100, "{answered:?}");
    check(folder.path(), kind, &mut answered).await;
}
