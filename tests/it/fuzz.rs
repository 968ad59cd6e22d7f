//! The entries of the fuzz targets for some seconds: the kept corpus, and
//! mutations of it from a seed. The long form is `scripts/fuzz.sh`.

#[path = "../../fuzz/entries/mod.rs"]
mod entries;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Mutations of each parser's corpus, unless `PLIMSOLL_FUZZ_ROUNDS` says another number.
const ROUNDS: usize = 1_500;
const LONGEST: usize = 1 << 16;
/// What parsers stumble over.
const ODD: [&[u8]; 18] = [
    b"\"",
    b"\\",
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff",
    b"NaN",
    b"-0",
    b"1e999",
    b"9223372036854775808",
    b"[[[[",
    b"{{",
    b"null",
    b"\xef\xbb\xbf",
    b"&a *a",
    b"---\n",
    b"${SECRET}",
    b"2026-02-30T25:61:00Z",
];

fn mutated(random: &mut impl Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = random.random_range(at..=bytes.len().min(at + 64));
        match random.random_range(0..6) {
            0 => {
                bytes.drain(at..end);
            }
            1 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            2 => {
                bytes.splice(at..end, ODD.choose(random).copied().unwrap_or_default().iter().copied());
            }
            3 => {
                let other = corpus.choose(random).cloned().unwrap_or_default();
                let from = random.random_range(0..=other.len());
                bytes.splice(at..end, other[from..].iter().copied());
            }
            4 => bytes.insert(at, random.random()),
            _ if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            _ => bytes.truncate(at / 2),
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

fn exercise(name: &str, entry: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!corpus.is_empty(), "{} is empty", folder.display());
    let rounds = std::env::var("PLIMSOLL_FUZZ_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(7117);
    let mutations = (0..rounds).map(|_| mutated(&mut random, &corpus)).collect::<Vec<_>>();
    for bytes in corpus.iter().chain(&mutations) {
        if catch_unwind(AssertUnwindSafe(|| entry(bytes))).is_err() {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            fs::write(&kept, bytes).unwrap();
            panic!("{name} failed on {:?}; kept at {}", String::from_utf8_lossy(bytes), kept.display());
        }
    }
}

#[test]
fn configs() {
    exercise("config", entries::config);
}

#[test]
fn templates() {
    exercise("template", entries::template);
}

#[test]
fn csv_files() {
    exercise("csv", entries::csv);
}

#[test]
fn parquet_files() {
    exercise("parquet", entries::parquet);
}

#[test]
fn answers_of_a_prometheus() {
    exercise("answer", entries::answer);
}

#[test]
fn bodies_of_requests() {
    exercise("body", entries::body);
}

#[test]
fn no_route_that_takes_a_body_is_left_out() {
    assert_eq!(entries::routes_left_out(), Vec::<String>::new(), "add them in fuzz/entries/body.rs");
}

#[test]
fn replies_of_receivers_and_targets() {
    exercise("reply", entries::reply);
}

#[test]
fn tokens() {
    exercise("token", entries::token);
}

#[test]
fn price_books() {
    exercise("prices", entries::prices);
}

#[test]
fn quantities_of_kubernetes() {
    exercise("quantity", entries::quantity);
}

#[test]
fn files_of_a_file_target() {
    exercise("quotas", entries::quotas);
}

#[test]
fn single_words() {
    exercise("words", entries::words);
}
