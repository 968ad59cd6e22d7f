//! Shelves: a file whose places are given up and used again, and memory for
//! trials and one-shot commands.
//!
//! The file has no name. It vanishes with the process, and the history makes
//! again what was in it; so nothing of it is synced. Who reads it reads the
//! system's cache of pages most of the time, which the system takes back where
//! memory is short.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::Mutex;

use super::files;
use crate::ports::{Place, Shelf, ShelfError};

/// Places begin and end at multiples of so many bytes.
const GRAIN: u64 = 256;
/// A place that is free is taken for as much as this share of it, at least.
const LEAST_USED: f64 = 0.75;

/// A shelf on disk.
#[derive(Debug)]
pub struct FileShelf {
    file: File,
    room: Mutex<Room>,
}

/// Which places are free.
#[derive(Debug, Default)]
struct Room {
    /// The first grain after all places.
    end: u64,
    /// Where free places begin, by their size; all in grains.
    free: BTreeMap<u64, Vec<u64>>,
    /// The sizes of places that are larger than what lies there needs.
    larger: HashMap<u64, u64>,
}

impl FileShelf {
    /// A shelf in a folder, which is created if there is none.
    ///
    /// # Errors
    /// Where no file can be created there.
    pub fn create(folder: &Path) -> Result<Self, ShelfError> {
        let created = files::create_folder(folder).and_then(|()| tempfile::tempfile_in(folder));
        Ok(FileShelf { file: created.map_err(files::at(folder)).map_err(error)?, room: Mutex::default() })
    }
}

impl Room {
    /// The first grain of a place for so many.
    fn take(&mut self, grains: u64) -> u64 {
        let most = (grains as f64 / LEAST_USED) as u64;
        if let Some((size, places)) = self.free.range_mut(grains..=most).next() {
            let size = *size;
            let place = places.pop();
            if places.is_empty() {
                self.free.remove(&size);
            }
            if let Some(place) = place {
                if size > grains {
                    self.larger.insert(place, size);
                }
                return place;
            }
        }
        let place = self.end;
        self.end += grains;
        place
    }

    fn give_up(&mut self, place: u64, grains: u64) {
        let size = self.larger.remove(&place).unwrap_or(grains);
        self.free.entry(size).or_default().push(place);
    }
}

impl Shelf for FileShelf {
    fn put(&self, bytes: &[u8]) -> Result<Place, ShelfError> {
        let length = u32::try_from(bytes.len()).map_err(error)?;
        let at = self.room.lock().take(grains(length));
        let place = Place { at, length, sum: crc32fast::hash(bytes) };
        if let Err(cause) = self.file.write_all_at(bytes, at * GRAIN) {
            self.free(place);
            return Err(error(cause));
        }
        Ok(place)
    }

    fn get(&self, place: Place) -> Result<Vec<u8>, ShelfError> {
        let mut bytes = vec![0; place.length as usize];
        self.file.read_exact_at(&mut bytes, place.at * GRAIN).map_err(error)?;
        checked(bytes, place)
    }

    fn free(&self, place: Place) {
        self.room.lock().give_up(place.at, grains(place.length));
    }
}

fn grains(length: u32) -> u64 {
    u64::from(length).div_ceil(GRAIN).max(1)
}

fn checked(bytes: Vec<u8>, place: Place) -> Result<Vec<u8>, ShelfError> {
    if crc32fast::hash(&bytes) == place.sum { Ok(bytes) } else { Err(ShelfError::Damaged) }
}

fn error(cause: impl ToString) -> ShelfError {
    ShelfError::File(cause.to_string())
}

/// A shelf in memory.
#[derive(Debug, Default)]
pub struct MemoryShelf(Mutex<Lying>);

#[derive(Debug, Default)]
struct Lying {
    last: u64,
    all: HashMap<u64, Box<[u8]>>,
}

impl Shelf for MemoryShelf {
    fn put(&self, bytes: &[u8]) -> Result<Place, ShelfError> {
        let place = Place { at: 0, length: u32::try_from(bytes.len()).map_err(error)?, sum: 0 };
        let mut lying = self.0.lock();
        lying.last += 1;
        let at = lying.last;
        lying.all.insert(at, bytes.into());
        Ok(Place { at, ..place })
    }

    fn get(&self, place: Place) -> Result<Vec<u8>, ShelfError> {
        self.0.lock().all.get(&place.at).map(|bytes| bytes.to_vec()).ok_or(ShelfError::Damaged)
    }

    fn free(&self, place: Place) {
        self.0.lock().all.remove(&place.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> FileShelf {
        FileShelf::create(tempfile::tempdir().unwrap().path()).unwrap()
    }

    fn bytes(seed: usize, length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 31 + seed * 7) as u8).collect()
    }

    #[test]
    fn what_is_laid_down_is_found_and_what_is_given_up_is_used_again() {
        let shelves: [Box<dyn Shelf>; 2] = [Box::new(shelf()), Box::new(MemoryShelf::default())];
        for shelf in shelves {
            let mut known: Vec<(Place, Vec<u8>)> = Vec::new();
            for round in 0..400 {
                let bytes = bytes(round, round * 37 % 5000);
                known.push((shelf.put(&bytes).unwrap(), bytes));
                if round % 3 == 2 {
                    shelf.free(known.remove(round % known.len()).0);
                }
            }
            assert!(known.iter().all(|(place, bytes)| shelf.get(*place).unwrap() == *bytes));
        }
        let shelf = shelf();
        for round in 0..1000 {
            let place = shelf.put(&bytes(round, 4000 + round % 90)).unwrap();
            shelf.free(place);
        }
        assert!(shelf.room.lock().end * GRAIN < 8192, "one place did for all");
    }

    #[test]
    fn a_flipped_byte_is_seen() {
        let shelf = shelf();
        let place = shelf.put(&bytes(1, 1000)).unwrap();
        shelf.file.write_all_at(&[0xff], place.at * GRAIN + 500).unwrap();
        assert!(matches!(shelf.get(place), Err(ShelfError::Damaged)));
    }
}
