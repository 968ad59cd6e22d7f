//! Who may call: bearer tokens, of which only the hash is kept.

mod token;

pub use token::{Token, TokenError, hash};
