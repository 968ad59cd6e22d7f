//! Signed checkpoints: how long a log was, and its Merkle root, in a form that
//! leaves the host. The text is a checkpoint of C2SP tlog-checkpoint, signed
//! with Ed25519 as C2SP signed-note has it, so that other tools read it, too:
//!
//! ```text
//! plimsoll/audit
//! 1042
//! 3sQ0jPDNRd…=
//! 2026-11-23T14:00:00Z
//!
//! — plimsoll/audit AbCdEf…=
//! ```

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::digest::{Digest, sha256};
use crate::domain::Timestamp;

/// The log that is signed for, and the name of its key.
const ORIGIN: &str = "plimsoll/audit";
/// Ed25519, in a signed note's key.
const ALGORITHM: u8 = 1;
/// Characters of a signature: the key's id and Ed25519's 64 bytes, in base64.
const SIGNATURE_CHARACTERS: usize = (4 + 64_usize).div_ceil(3) * 4;

/// How long a log was at an instant, and what stood in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many lines it had.
    pub size: u64,
    /// The root of the Merkle tree over them.
    pub root: Digest,
    /// When.
    pub at: Timestamp,
}

/// A checkpoint or a key that can't be used; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The bytes are no key.
    #[error("use the key that signs checkpoints: it is no Ed25519 key in PKCS #8")]
    Key,
    /// The system gives no random numbers.
    #[error("make a key: the system gives no random numbers")]
    NoRandomness,
    /// The text is no key to verify with.
    #[error("read the key {0:?}: it must be name+digits+base64, as `plimsoll audit key` prints it")]
    Verifier(String),
    /// The text is no checkpoint.
    #[error("read a checkpoint: {0}")]
    Text(&'static str),
    /// Its end is missing, as after a crash.
    #[error("read a checkpoint: it is cut off")]
    CutOff,
    /// Another signed it, or it was changed.
    #[error("verify the checkpoint of {0} lines: the signature is not of this key and text")]
    Signature(u64),
}

/// Signs checkpoints.
pub struct Signer(Ed25519KeyPair);

/// Verifies checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier(Vec<u8>);

impl Signer {
    /// A new key, as PKCS #8.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn new_key() -> Result<Vec<u8>, CheckpointError> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| CheckpointError::NoRandomness)?;
        Ok(key.as_ref().to_vec())
    }

    /// From PKCS #8.
    ///
    /// # Errors
    /// Where the bytes are no such key.
    pub fn from_key(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(Signer).map_err(|_| CheckpointError::Key)
    }

    /// What its signatures are verified with.
    pub fn verifier(&self) -> Verifier {
        Verifier(self.0.public_key().as_ref().to_vec())
    }

    /// The checkpoint as a signed text.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let Checkpoint { size, root, at } = checkpoint;
        let text = format!("{ORIGIN}\n{size}\n{}\n{at}\n", STANDARD.encode(root));
        let mut signature = self.verifier().id().to_vec();
        signature.extend_from_slice(self.0.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(signature))
    }
}

impl Verifier {
    /// From the text that [`Verifier`] displays.
    ///
    /// # Errors
    /// Where it is no such text.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = || CheckpointError::Verifier(text.to_owned());
        let (_, key) = text
            .trim()
            .strip_prefix(ORIGIN)
            .and_then(|rest| rest.strip_prefix('+'))
            .and_then(|rest| rest.split_once('+'))
            .ok_or_else(wrong)?;
        let bytes = STANDARD.decode(key).map_err(|_| wrong())?;
        match bytes.split_first() {
            Some((&ALGORITHM, key)) if key.len() == 32 => {
                let verifier = Verifier(key.to_vec());
                if verifier.to_string() == text.trim() { Ok(verifier) } else { Err(wrong()) }
            }
            _ => Err(wrong()),
        }
    }

    /// The first bytes of a hash over name and key, by which a note names it.
    fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = sha256([ORIGIN.as_bytes(), b"\n", &[ALGORITHM], &self.0]);
        [a, b, c, d]
    }

    /// Reads a signed checkpoint.
    ///
    /// # Errors
    /// Where the text is none, or not signed with this key.
    pub fn read(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let wrong = CheckpointError::Text;
        let (text, signatures) = note.split_once("\n\n").ok_or(CheckpointError::CutOff)?;
        let lines: Vec<&str> = text.lines().collect();
        let [ORIGIN, size, root, at] = lines[..] else {
            return Err(wrong("four lines must stand before the signature: origin, size, root and time"));
        };
        let size = size.parse().map_err(|_| wrong("the size is no number"))?;
        let root = STANDARD.decode(root).ok().and_then(|root| Digest::try_from(root).ok());
        let root = root.ok_or(wrong("the root is no SHA-256 in base64"))?;
        let at = at.parse().map_err(|_| wrong("the time can't be read"))?;
        let prefix = format!("\u{2014} {ORIGIN} ");
        let signed = format!("{text}\n");
        let ours = signatures.lines().filter_map(|line| line.strip_prefix(&*prefix));
        if ours.clone().all(|signature| signature.len() < SIGNATURE_CHARACTERS) {
            return Err(CheckpointError::CutOff);
        }
        let is_good = ours.filter_map(|signature| STANDARD.decode(signature).ok()).any(|bytes| {
            bytes.split_at_checked(4).is_some_and(|(id, signature)| {
                id == self.id()
                    && UnparsedPublicKey::new(&ED25519, &self.0).verify(signed.as_bytes(), signature).is_ok()
            })
        });
        if is_good { Ok(Checkpoint { size, root, at }) } else { Err(CheckpointError::Signature(size)) }
    }
}

/// `name+id+key`, as C2SP signed-note writes keys.
impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![ALGORITHM];
        key.extend_from_slice(&self.0);
        write!(f, "{ORIGIN}+{}+{}", super::hex(&self.id()), STANDARD.encode(key))
    }
}

/// The signed texts in a file that holds one after the other.
pub fn notes(text: &str) -> Vec<String> {
    let begins: Vec<usize> = text.match_indices(&*format!("{ORIGIN}\n")).map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    begins.iter().zip(ends).map(|(&begin, end)| text[begin..end].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(size: u64) -> Checkpoint {
        Checkpoint {
            size,
            root: sha256([&size.to_be_bytes()[..]]),
            at: Timestamp::from_seconds(1_790_000_000),
        }
    }

    #[test]
    fn what_was_signed_is_read_and_nothing_else() {
        let signer = Signer::from_key(&Signer::new_key().unwrap()).unwrap();
        let verifier = Verifier::parse(&signer.verifier().to_string()).unwrap();
        let note = signer.sign(&checkpoint(1042));
        assert_eq!(verifier.read(&note), Ok(checkpoint(1042)));
        let forged = note.replace("1042", "1043");
        assert_eq!(verifier.read(&forged), Err(CheckpointError::Signature(1043)));
        let other = Signer::from_key(&Signer::new_key().unwrap()).unwrap();
        assert_eq!(verifier.read(&other.sign(&checkpoint(1042))), Err(CheckpointError::Signature(1042)));
        assert_eq!(verifier.read("plimsoll/audit\n"), Err(CheckpointError::CutOff));
        assert!(matches!(verifier.read("plimsoll/audit\n1042\n\n"), Err(CheckpointError::Text(_))));
        let both = format!("{note}\n{}", signer.sign(&checkpoint(2000)));
        let read: Vec<u64> = notes(&both).iter().map(|note| verifier.read(note).unwrap().size).collect();
        assert_eq!(read, [1042, 2000]);
    }

    #[test]
    fn one_that_is_cut_off_is_no_forged_one_and_leaves_the_others_as_they_are() {
        let signer = Signer::from_key(&Signer::new_key().unwrap()).unwrap();
        let verifier = Verifier::parse(&signer.verifier().to_string()).unwrap();
        let (before, note, after) = [10, 1042, 2000].map(|size| signer.sign(&checkpoint(size))).into();
        for (cut, _) in note.char_indices().skip(1) {
            let file = format!("{before}\n{}{after}", &note[..cut]);
            let read: Vec<_> = notes(&file).iter().map(|note| verifier.read(note)).collect();
            // Without its first line it is none, without its last line feed whole.
            let expected = match cut {
                cut if cut <= ORIGIN.len() => vec![],
                cut if cut + 1 == note.len() => vec![Ok(checkpoint(1042))],
                _ => vec![Err(CheckpointError::CutOff)],
            };
            let around = [vec![Ok(checkpoint(10))], expected, vec![Ok(checkpoint(2000))]];
            assert_eq!(read, around.concat(), "{cut}");
        }
        let last = note.len() - 2;
        let garbled = format!("{}?{}", &note[..last], &note[last + 1..]);
        assert_eq!(verifier.read(&garbled), Err(CheckpointError::Signature(1042)), "as long as it should be");
    }

    #[test]
    fn keys_of_another_form_are_refused() {
        assert_eq!(Signer::from_key(b"no key").err(), Some(CheckpointError::Key));
        for text in ["", "plimsoll/audit", "plimsoll/audit+00000000+AQ==", "other+1+AQ=="] {
            assert!(Verifier::parse(text).is_err(), "{text}");
        }
    }
}
