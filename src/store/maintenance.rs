//! What can be done with a store that no daemon uses: look for damage, set it
//! aside, copy all of it, and bring a copy back.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive;
use super::disk::{self, DiskKind, DiskSettings, DiskStore};
use super::files;
use super::history::{ParquetHistory, check_history, is_history_file};
use super::keeper::{DiskKeeper, finding, io_error};
use crate::ports::{HistoryError, Keeper, StoreCheck, StoreError, StoreFinding};

/// Where what is restored lies until all of it is there.
const RESTORING: &str = "restoring";
/// Where parts that are set aside go.
const SET_ASIDE: &str = "set-aside";

/// A store that no daemon uses.
#[derive(Debug, Clone)]
pub struct StoppedStore {
    /// The folder of all.
    pub folder: PathBuf,
    /// The folder of the state in it.
    pub state: PathBuf,
    /// The folder of the history in it.
    pub history: PathBuf,
    /// What the state is kept in.
    pub kind: DiskKind,
    /// How the state is set.
    pub settings: DiskSettings,
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What was damaged, and what is lost by it.
    pub findings: Vec<StoreFinding>,
    /// Where the damaged parts lie now; `None` where there were none.
    pub set_aside: Option<PathBuf>,
}

impl StoppedStore {
    /// Reads all files, and holds them against what guards them. Nothing is
    /// changed: the state is opened as a copy in the system's folder for
    /// temporary files.
    ///
    /// # Errors
    /// Where the store is in use, is not there, or a folder can't be read.
    pub fn check(&self) -> Result<StoreCheck, StoreError> {
        let mut check = disk::check(&self.state, self.kind, &self.settings)?;
        if self.history.is_dir() {
            let (count, damaged) = check_history(&self.history).map_err(io_error)?;
            check.files += count as u64;
            check.findings.extend(damaged.into_iter().map(|one| finding(one, Path::new(""))));
        }
        Ok(check)
    }

    /// Sets damaged parts aside, removes nothing, and leaves the rest as a
    /// store that opens.
    ///
    /// # Errors
    /// Where the store is in use, or too little of the state is left.
    pub fn repair(&self) -> Result<Repaired, StoreError> {
        let aside = self.folder.join(SET_ASIDE);
        // Each repair has a place of its own.
        let aside = (1..).map(|number: u32| aside.join(number.to_string())).find(|one| !one.exists());
        let aside = aside.unwrap_or_default();
        let mut findings = disk::repair(&self.state, self.kind, &self.settings, &aside.join("state"))?;
        if self.history.is_dir() {
            for damaged in check_history(&self.history).map_err(io_error)?.1 {
                let below = damaged.path.strip_prefix(&self.history).unwrap_or(&damaged.path);
                files::move_aside(&damaged.path, &aside.join("history").join(below)).map_err(io_error)?;
                findings.push(finding(damaged, Path::new("")));
            }
        }
        let set_aside = aside.exists().then_some(aside);
        Ok(Repaired { findings, set_aside })
    }

    /// Copies all of it to `out`.
    ///
    /// # Errors
    /// Where the store is in use, is not there, or can't be opened.
    pub fn back_up(&self, out: &mut dyn io::Write) -> Result<StoreCheck, StoreError> {
        if DiskKind::of(&self.state).is_none() {
            return Err(StoreError::Io(format!("{}: there is no state in it", self.state.display())));
        }
        let store = Arc::new(DiskStore::open(&self.state, self.kind, self.settings.clone())?);
        let history = Arc::new(ParquetHistory::open(&self.history).map_err(history_error)?);
        let keeper = DiskKeeper::new(store, history);
        let copied = keeper.back_up(out);
        keeper.close()?;
        copied
    }

    /// Brings back what an archive holds; gives what is wrong with it, which is
    /// what was wrong when it was made. The archive is verified first.
    ///
    /// # Errors
    /// Where the folder holds something, the archive is not as it was written,
    /// or the files can't be written.
    pub fn restore(&self, archive: &Path) -> Result<StoreCheck, StoreError> {
        self.refuse_unless_empty()?;
        let named = |error: io::Error| StoreError::Io(format!("{}: {error}", archive.display()));
        let manifest = archive::verify(archive).map_err(named)?;
        let making = self.folder.join(RESTORING);
        let restored = self.unpack(archive, &making).and_then(|()| {
            let (state, history) = (making.join("state"), making.join("history"));
            let mut check = disk::check(&state, self.kind, &self.settings)?;
            check.files += check_history(&history).map_err(io_error)?.0 as u64;
            // The state last: where it is, the rest is.
            fs::rename(&history, &self.history).map_err(files::at(&history)).map_err(io_error)?;
            fs::rename(&state, &self.state).map_err(files::at(&state)).map_err(io_error)?;
            files::sync_folder(&self.folder).map_err(io_error)?;
            Ok(check)
        });
        files::remove_folder(&making).map_err(io_error)?;
        let mut check = restored?;
        // What was left out when it was made is not there to be found now.
        for finding in manifest.check.findings {
            if !check.findings.contains(&finding) {
                check.findings.push(finding);
            }
        }
        Ok(check)
    }

    fn unpack(&self, archive: &Path, making: &Path) -> Result<(), StoreError> {
        let (state, history) = (making.join("state"), making.join("history"));
        files::create_folder(&history).map_err(io_error)?;
        let mut filler = disk::Filler::new(&state, self.kind, &self.settings)?;
        let mut folders = BTreeSet::new();
        archive::unpack(archive, |name, bytes| {
            let name = Path::new(&name);
            if let Ok(below) = name.strip_prefix("state") {
                return filler.take(below, &bytes).map_err(io::Error::other);
            }
            // Nothing is ever written elsewhere.
            let below = name.strip_prefix("history").ok().filter(|below| is_history_file(below));
            let Some(below) = below else {
                return Err(io::Error::other(format!("{} in it has no place in a store", name.display())));
            };
            let path = history.join(below);
            let folder = path.parent().unwrap_or(&history);
            files::create_folder(folder)?;
            folders.insert(folder.to_owned());
            files::write_whole(&path, &bytes)
        })
        .map_err(io_error)?;
        folders.iter().try_for_each(|folder| files::sync_folder(folder)).map_err(io_error)?;
        filler.end()
    }

    fn refuse_unless_empty(&self) -> Result<(), StoreError> {
        files::create_folder(&self.folder).map_err(io_error)?;
        let entries = fs::read_dir(&self.folder).map_err(files::at(&self.folder)).map_err(io_error)?;
        if entries.count() == 0 {
            return Ok(());
        }
        Err(StoreError::Io(format!(
            "{} is not empty, and nothing is ever overwritten; move what is in it away, or set store.path to \
             another folder",
            self.folder.display()
        )))
    }
}

/// Reads a backup from end to end, and holds it against its manifest; gives
/// what was found when it was made.
///
/// # Errors
/// Where it can't be read, or is not as it was written.
pub fn verify_backup(path: &Path) -> Result<StoreCheck, StoreError> {
    let named = |error: io::Error| StoreError::Io(format!("{}: {error}", path.display()));
    Ok(archive::verify(path).map_err(named)?.check)
}

fn history_error(error: HistoryError) -> StoreError {
    StoreError::Io(error.to_string())
}

#[cfg(test)]
mod tests;
