//! The daemon as a service of systemd: what it tells its manager, and what
//! systemd itself says of the unit file.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::rig::Daemon;
use crate::setup::{config_for, nowhere};

/// systemd's rating of how exposed a unit is, from 0 (not) to 10, times ten.
const MOST_EXPOSED: &str = "20";

fn heard(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = manager.recv(&mut buffer).expect("the daemon says nothing");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_manager_hears_that_it_is_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "100000")];
    let mut daemon = Daemon::start_among(&config_for(&nowhere(), ""), &environment).await;
    let address = daemon.url.trim_start_matches("http://");
    assert_eq!(heard(&manager), format!("READY=1\nSTATUS=listening on {address}"));
    assert_eq!((heard(&manager).as_str(), heard(&manager).as_str()), ("WATCHDOG=1", "WATCHDOG=1"));
    daemon.terminate();
    assert!(daemon.wait().await.success(), "{}", daemon.said());
    let last = std::iter::repeat_with(|| heard(&manager)).find(|said| said != "WATCHDOG=1").unwrap();
    assert_eq!(last, "STOPPING=1\nSTATUS=ends what runs");
}

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/systemd/plimsoll.service")
}

/// A copy of the unit that runs the binary of this build.
fn unit_of_this_build(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(unit()).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/plimsoll serve"));
    let copy = folder.join("plimsoll.service");
    std::fs::write(&copy, text.replace("/usr/bin/plimsoll", env!("CARGO_BIN_EXE_plimsoll"))).unwrap();
    copy
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit_of_this_build(folder.path());
    let analyze = |arguments: &[&str]| {
        Command::new("systemd-analyze").args(arguments).arg(&unit).env("SYSTEMD_COLORS", "0").output()
    };
    let Ok(verified) = analyze(&["verify", "--man=no"]) else {
        eprintln!("skipped: systemd-analyze is not here");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // Units of the machine itself are read, too, and are not our business.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("plimsoll")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    let threshold = format!("--threshold={MOST_EXPOSED}");
    let rated = analyze(&["security", "--offline=true", "--no-pager", &threshold]).unwrap();
    assert!(rated.status.success(), "{}", String::from_utf8_lossy(&rated.stdout));
}
