//! Scripts for node with their packages from npm, pinned by their lock file, in
//! a folder of their own that is kept between runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::kept::kept_folder;

/// A copy of a folder of scripts beside what its lock file names; `None`, and
/// a word of it, where that can't be had.
pub fn node_scripts(folder: &str) -> Option<PathBuf> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (copy, _hold) = kept_folder(&folder.replace('/', "-"));
    std::fs::create_dir_all(&copy).unwrap();
    // What the lock file asks for is fetched anew when the lock file changes.
    let (lock, done) = (scripts.join("package-lock.json"), copy.join("installed"));
    let wanted = std::fs::read(&lock).unwrap();
    for file in std::fs::read_dir(&scripts).unwrap().map(|file| file.unwrap().path()) {
        let kept = copy.join(file.file_name().unwrap());
        // A test beside this one may be reading what stands there already.
        if file.is_file() && std::fs::read(&kept).ok() != std::fs::read(&file).ok() {
            std::fs::copy(&file, &kept).unwrap();
        }
    }
    if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Some(copy);
    }
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let made = Command::new("npm").current_dir(&copy).args(arguments).output();
    if made.is_ok_and(|output| output.status.success()) {
        std::fs::write(&done, &wanted).unwrap();
        return Some(copy);
    }
    eprintln!("skipped: npm can't install what {} names; is there a network?", lock.display());
    None
}
