//! Packages from PyPI, each in an environment of its own that is kept between
//! runs.

use std::path::PathBuf;
use std::process::Command;

/// The programs of an environment with `package` at `version`; `None`, and a
/// word of it, where it can't be had.
pub fn python_package(package: &str, version: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{package}-{version}"));
    let programs = folder.join("bin");
    // It is written last, so that an environment half made is made again.
    let done = folder.join("installed");
    if done.exists() {
        return Some(programs);
    }
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let wanted = format!("{package}=={version}");
    let made = succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        && succeeds(Command::new(programs.join("pip")).args(["install", "-q", &wanted]))
        && std::fs::write(&done, "").is_ok();
    if !made {
        eprintln!("skipped: the Python package {wanted} can't be installed; is there a network?");
    }
    made.then_some(programs)
}
