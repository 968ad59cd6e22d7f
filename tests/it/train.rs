//! `plimsoll train` as a process: killed and gone on with, and refusals.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Steps of a run; the kill comes long before the last.
const STEPS: &str = "120";
/// How long a first checkpoint may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn command(input: &Path, output: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command
        .args(["train", "--steps", STEPS, "--batch", "16", "--look-every", "2", "--patience", "1000"])
        .args(["--validate", "48", "--seed", "5", "--input"])
        .arg(input)
        .arg("--output")
        .arg(output)
        .env("RAYON_NUM_THREADS", "1");
    command
}

/// Ten tenants with a rhythm.
fn write_usage(file: &Path) {
    let mut text = "unique_id,ds,y\n".to_owned();
    for tenant in 0..10 {
        for hour in 0..300 {
            let value = 10 * (tenant + 1) + (hour + tenant) % 24 + hour * 7919 % 11;
            writeln!(text, "tenant-{tenant},{hour},{value}").unwrap();
        }
    }
    std::fs::write(file, text).unwrap();
}

fn error_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_killed_training_goes_on_and_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("usage.csv");
    write_usage(&input);
    let (whole, cut) = (folder.path().join("whole.safetensors"), folder.path().join("cut.safetensors"));
    let done = command(&input, &whole).output().unwrap();
    assert!(done.status.success(), "{}", error_of(&done));
    assert!(String::from_utf8(done.stdout).unwrap().contains("step 2 of 120"));

    let mut running = command(&input, &cut).stdout(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !cut.with_extension("checkpoint").exists() {
        assert!(started.elapsed() < PATIENCE, "there is no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(!cut.exists(), "the run ended before it was killed");

    let resumed = command(&input, &cut).output().unwrap();
    assert!(resumed.status.success(), "{}", error_of(&resumed));
    assert!(!String::from_utf8(resumed.stdout).unwrap().contains("step 2 of 120"), "it began anew");
    assert!(std::fs::read(&whole).unwrap() == std::fs::read(&cut).unwrap());
    assert!(!cut.with_extension("checkpoint").exists());
}

#[test]
fn what_cannot_be_trained_is_refused_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("usage.csv");
    write_usage(&input);
    let output = folder.path().join("a.safetensors");
    let long = command(&input, &output).args(["--hold-back", "290"]).output().unwrap();
    assert_eq!(long.status.code(), Some(2));
    assert!(error_of(&long).contains("held out"), "{}", error_of(&long));
    let other = command(&input, &folder.path().join("a.bin")).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(error_of(&other).contains(".safetensors"), "{}", error_of(&other));
    if !cfg!(feature = "cuda") {
        let card = command(&input, &output).args(["--device", "cuda"]).output().unwrap();
        assert_eq!(card.status.code(), Some(2));
        assert!(error_of(&card).contains("--features cuda"), "{}", error_of(&card));
    }
}
