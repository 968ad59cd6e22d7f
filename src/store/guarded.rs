//! Small texts that carry their own hash: the text, a line break, the SHA-256
//! of the text in hexadecimal digits.

use crate::security::{hex, sha256};

/// Digits of a hash.
const DIGITS: usize = 64;

/// A text with its hash behind it.
pub(super) fn guard(mut text: Vec<u8>) -> Vec<u8> {
    let hash = hex(&sha256([&*text]));
    text.push(b'\n');
    text.extend_from_slice(hash.as_bytes());
    text
}

/// The text, if it is as it was written. One without a hash, as earlier
/// versions wrote it, is taken as it is.
pub(super) fn open(bytes: &[u8]) -> Option<&[u8]> {
    let Some(end) = bytes.len().checked_sub(DIGITS + 1) else { return Some(bytes) };
    let (text, hash) = (&bytes[..end], &bytes[end + 1..]);
    if bytes[end] != b'\n' || !hash.iter().all(u8::is_ascii_hexdigit) {
        return Some(bytes);
    }
    (hex(&sha256([text])).as_bytes() == hash).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_text_is_noticed() {
        let whole = guard(b"{\"a\": 1}".to_vec());
        assert_eq!(open(&whole), Some(&b"{\"a\": 1}"[..]));
        assert_eq!(open(b"{\"a\": 1}"), Some(&b"{\"a\": 1}"[..]), "an earlier version wrote it");
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << bit;
                let read =
                    open(&bytes).and_then(|text| serde_json::from_slice::<serde_json::Value>(text).ok());
                assert_eq!(read, None, "byte {place}, bit {bit}");
            }
        }
    }
}
