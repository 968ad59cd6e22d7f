//! Who may call: bearer tokens, of which only the hash is kept. And what the
//! daemon's own calls need: signatures, and addresses that may be called. And what
//! keeps the audit log from being changed unseen: hashes, a Merkle tree over it,
//! and signed checkpoints.

mod checkpoint;
mod digest;
mod merkle;
mod outbound;
mod second_factor;
mod signing;
mod token;

pub use checkpoint::{Checkpoint, CheckpointError, Signer, Verifier, notes};
pub use digest::{Digest, from_hex, hex, sha256};
pub use merkle::{Tree, WrittenTree};
pub use outbound::{AddressError, Addresses, check_url, shown_url};
pub use second_factor::{SecondFactor, SecondFactorError};
pub use signing::{SecretError, SigningSecret, hint};
pub use token::{Token, TokenError, hash};
