//! Packages from PyPI, each in an environment of its own that is kept between
//! runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::kept::kept_folder;

/// The programs of an environment with `package` at `version`; `None`, and a
/// word of it, where it can't be had.
pub fn python_package(package: &str, version: &str) -> Option<PathBuf> {
    let wanted = format!("{package}=={version}");
    environment(&format!("{package}-{version}"), &[&wanted], &wanted)
}

/// The programs of an environment with what a file of requirements names.
pub fn python_environment(requirements: &Path) -> Option<PathBuf> {
    let content = std::fs::read_to_string(requirements).unwrap();
    let folder = requirements.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
    environment(folder, &["-r", requirements.to_str().unwrap()], &content)
}

/// The environment `name` with what `wanted` says, made anew when that changes.
fn environment(name: &str, install: &[&str], wanted: &str) -> Option<PathBuf> {
    let (folder, _hold) = kept_folder(name);
    let programs = folder.join("bin");
    // It is written last, so that an environment half made is made again.
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Some(programs);
    }
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let made = succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        && succeeds(Command::new(programs.join("pip")).args(["install", "-q"]).args(install))
        && std::fs::write(&done, wanted).is_ok();
    if !made {
        eprintln!("skipped: the Python packages of {name} can't be installed; is there a network?");
    }
    made.then_some(programs)
}
