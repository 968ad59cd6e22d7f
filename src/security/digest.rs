//! SHA-256, and bytes as text.

use aws_lc_rs::digest;

/// A SHA-256.
pub type Digest = [u8; 32];

/// The SHA-256 of some parts, one after the other.
pub fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    parts.into_iter().for_each(|part| hash.update(part));
    let mut bytes = Digest::default();
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

/// Bytes as lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// The bytes of a SHA-256 that is written as hexadecimal digits.
pub fn from_hex(text: &str) -> Option<Digest> {
    let digits = text.as_bytes();
    let mut bytes = Digest::default();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_read_as_usual() {
        let empty = sha256([]);
        assert_eq!(hex(&empty), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(from_hex(&hex(&empty)), Some(empty));
        assert_eq!(sha256([&b"a"[..], b"bc"]), sha256([&b"abc"[..]]));
        assert_eq!((from_hex("e3"), from_hex(&"g".repeat(64))), (None, None));
    }
}
