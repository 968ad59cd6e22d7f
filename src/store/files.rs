//! Files that are whole or not there: written beside their place, synced, and
//! moved into it. Every error names its path.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a file that is not yet in its place ends with.
const TEMPORARY: &str = "tmp";

/// Adds the path to an error.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Puts a file in its place, whole and synced. The name itself is durable only
/// after [`sync_folder`], so that many files can share one sync.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |file| file.write_all(bytes))
}

/// Like [`write_whole`], for a file that is written piece by piece.
pub(super) fn write_whole_with(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary(path);
    let written = File::create(&temporary).and_then(|mut file| {
        fill(&mut file)?;
        #[cfg(test)]
        failing::check(&temporary)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&temporary, path));
    if moved.is_err() {
        // What can't be removed now is swept at the next start.
        fs::remove_file(&temporary).ok();
    }
    moved.map_err(at(path))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|handle| handle.sync_all()).map_err(at(folder))
}

/// Creates a folder with those above it, durably.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    create_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(folder)(error)),
        _ => {}
    }
    sync_folder(folder)?;
    sync_folder(above)
}

/// The plain files of a folder, in the order of their names.
pub(super) fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        if entry.file_type().map_err(at(folder))?.is_file() {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes what a crash left half written.
pub(super) fn sweep_temporaries(folder: &Path) -> io::Result<()> {
    for file in files_in(folder)? {
        if file.extension().is_some_and(|ending| ending == TEMPORARY) {
            remove(&file)?;
        }
    }
    Ok(())
}

/// Removes a file; one that is gone already is no failure.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(file)(error)),
        _ => Ok(()),
    }
}

/// Removes a folder with all in it; one that is gone already is no failure.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

/// Copies a folder with all in it to a place where nothing is yet.
pub(super) fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    create_folder(to)?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).map_err(at(from))?;
        match path.is_dir() {
            true => copy_folder(&path, &to.join(name))?,
            false => fs::copy(&path, to.join(name)).map(drop).map_err(at(&path))?,
        }
    }
    Ok(())
}

/// Moves a file or a folder to a place where nothing is yet, durably.
pub(super) fn move_aside(path: &Path, to: &Path) -> io::Result<()> {
    let folders = (path.parent().unwrap_or(path), to.parent().unwrap_or(to));
    create_folder(folders.1)?;
    fs::rename(path, to).map_err(at(path))?;
    sync_folder(folders.1)?;
    sync_folder(folders.0)
}

/// How many bytes of the disk the files below a folder take together. What
/// vanishes meanwhile does not count. A file can be longer than what it takes:
/// redb doubles the length of its own, and fills it later.
pub(super) fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) => metadata.blocks() * BLOCK,
            Err(_) => 0,
        })
        .sum()
}

/// The unit in which the system counts what a file takes, whatever the disk's own.
const BLOCK: u64 = 512;

/// A disk that fails under files that are being written, for tests.
#[cfg(test)]
pub(super) mod failing {
    use std::collections::BTreeMap;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;

    use parking_lot::Mutex;

    static BELOW: LazyLock<Mutex<BTreeMap<PathBuf, i32>>> = LazyLock::new(Mutex::default);

    /// While it is held, what is written below a folder fails with an error of
    /// the system, after its bytes and before they are synced.
    pub struct Failing(PathBuf);

    /// Has what is written below a folder fail with an error of the system.
    pub fn below(folder: &Path, number: i32) -> Failing {
        BELOW.lock().insert(folder.to_owned(), number);
        Failing(folder.to_owned())
    }

    impl Drop for Failing {
        fn drop(&mut self) {
            BELOW.lock().remove(&self.0);
        }
    }

    pub(super) fn check(path: &Path) -> io::Result<()> {
        let below = BELOW.lock();
        let number = path.ancestors().find_map(|folder| below.get(folder));
        number.map_or(Ok(()), |number| Err(io::Error::from_raw_os_error(*number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c");
        create_folder(path.parent().unwrap()).unwrap();
        write_whole(&path, b"one").unwrap();
        let failed = write_whole_with(&path, |file| {
            file.write_all(b"tw")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.unwrap_err().to_string().ends_with("c: the disk is full"));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(files_in(path.parent().unwrap()).unwrap().len(), 1);
        fs::write(temporary(&path), b"half").unwrap();
        sweep_temporaries(path.parent().unwrap()).unwrap();
        assert!(size_of(folder.path()).is_multiple_of(BLOCK) && size_of(folder.path()) > 0);
    }
}
