//! Who may call: bearer tokens, of which only the hash is kept. And what the
//! daemon's own calls need: signatures, and addresses that may be called.

mod outbound;
mod signing;
mod token;

pub use outbound::{AddressError, Addresses, check_url, shown_url};
pub use signing::{SecretError, SigningSecret, hint};
pub use token::{Token, TokenError, hash};
