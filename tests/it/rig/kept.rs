//! Folders that are kept between runs. Tests run as processes beside each
//! other, so the first makes a folder and the others wait for it.

use std::fs::File;
use std::path::{Path, PathBuf};

/// The folder `name` that is kept, and a hold on it: until that is dropped,
/// another test that asks for the same folder waits.
pub fn kept_folder(name: &str) -> (PathBuf, File) {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(all).unwrap();
    let hold = File::create(all.join(format!("{name}.lock"))).unwrap();
    hold.lock().unwrap();
    (all.join(name), hold)
}
