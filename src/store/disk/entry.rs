//! How a value stands in the tree: a format byte, the version (8 bytes, big
//! endian), a checksum (16 bytes), then the value itself or the name of the
//! file that holds it.
//!
//! The checksum is the first half of a SHA-256 over the place, the version and
//! what follows, so that a value that slipped to another key is found out too.

use aws_lc_rs::digest;

/// The value follows.
const INLINE: u8 = 1;
/// The SHA-256 (32 bytes) and the length (8 bytes) of the value follow.
const IN_FILE: u8 = 2;
/// Bytes before the body.
const HEADER: usize = 25;

/// Guards a value, and adds up to the checksum of its table.
pub(super) type Checksum = [u8; 16];
/// The SHA-256 of a value that is kept in a file.
pub(super) type Hash = [u8; 32];

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// Here.
    Inline(&'a [u8]),
    /// In the file that its hash names.
    InFile { hash: Hash, length: u64 },
}

/// A value as it stands in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The version of its key.
    pub version: u64,
    /// What guards it.
    pub checksum: Checksum,
    /// Where it is.
    pub body: Body<'a>,
}

fn checksum(place: &[u8], head: &[u8], body: &[u8]) -> Checksum {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&(place.len() as u64).to_be_bytes());
    hash.update(place);
    hash.update(head);
    hash.update(body);
    let mut half = Checksum::default();
    half.copy_from_slice(&hash.finish().as_ref()[..16]);
    half
}

/// Writes down a value; gives its checksum with it.
pub(super) fn encode(place: &[u8], version: u64, body: Body<'_>) -> (Vec<u8>, Checksum) {
    let mut in_file = Vec::new();
    let (format, body) = match body {
        Body::Inline(bytes) => (INLINE, bytes),
        Body::InFile { hash, length } => {
            in_file.extend_from_slice(&hash);
            in_file.extend_from_slice(&length.to_be_bytes());
            (IN_FILE, &*in_file)
        }
    };
    let mut raw = Vec::with_capacity(HEADER + body.len());
    raw.push(format);
    raw.extend_from_slice(&version.to_be_bytes());
    let checksum = checksum(place, &raw, body);
    raw.extend_from_slice(&checksum);
    raw.extend_from_slice(body);
    (raw, checksum)
}

/// Reads a value; says what is wrong with one that is not as it was written.
pub(super) fn decode<'a>(place: &[u8], raw: &'a [u8]) -> Result<Entry<'a>, String> {
    let (Some(head), Some(written), Some(body)) = (raw.get(..9), written_checksum(raw), raw.get(HEADER..))
    else {
        return Err(format!("only {} bytes of it are left; restore it from a backup", raw.len()));
    };
    if checksum(place, head, body) != written {
        return Err("its bytes are not those that were written; restore it from a backup".to_owned());
    }
    let mut version = [0; 8];
    version.copy_from_slice(&head[1..]);
    let body = match (head[0], body.split_first_chunk::<32>()) {
        (INLINE, _) => Body::Inline(body),
        (IN_FILE, Some((hash, length))) if length.len() == 8 => {
            let length = length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
            Body::InFile { hash: *hash, length }
        }
        (format, _) => return Err(format!("its format {format} is that of a newer version of plimsoll")),
    };
    Ok(Entry { version: u64::from_be_bytes(version), checksum: written, body })
}

/// The checksum that was written with a value, right or not.
pub(super) fn written_checksum(raw: &[u8]) -> Option<Checksum> {
    raw.get(9..HEADER)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bodies = [Body::Inline(b"value"), Body::InFile { hash: [7; 32], length: 70_000 }];
        for body in bodies {
            let (raw, checksum) = encode(b"table\0key", 9, body);
            let entry = Entry { version: 9, checksum, body };
            assert_eq!(decode(b"table\0key", &raw), Ok(entry));
            assert!(decode(b"table\0kex", &raw).is_err(), "it belongs to its key");
            for bit in 0..raw.len() * 8 {
                let mut flipped = raw.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(b"table\0key", &flipped).is_err(), "bit {bit}");
            }
            for length in 0..raw.len() {
                assert!(decode(b"table\0key", &raw[..length]).is_err(), "{length} bytes");
            }
        }
    }
}
