//! Bearer tokens: 256 random bits, written so that a leak can be searched for.

use aws_lc_rs::rand;
use secrecy::{ExposeSecret, SecretString};

use super::digest::{hex, sha256};

/// What every token that Plimsoll makes begins with.
const PREFIX: &str = "plim_";
/// Random bytes in a token.
const RANDOM_BYTES: usize = 32;
/// The shortest token that a person may choose.
const LEAST_LENGTH: usize = 16;

/// A token in the clear; it is shown once and never stored.
#[derive(Debug, Clone)]
pub struct Token(SecretString);

/// A token that can't be made or taken; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The system gives no random numbers.
    #[error("make a token: the system gives no random numbers")]
    NoRandomness,
    /// Too easily guessed.
    #[error("take the token: it has {0} characters and needs at least {LEAST_LENGTH}")]
    TooShort(usize),
}

impl Token {
    /// A new random token.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn generate() -> Result<Self, TokenError> {
        let mut bytes = [0_u8; RANDOM_BYTES];
        rand::fill(&mut bytes).map_err(|_| TokenError::NoRandomness)?;
        Ok(Token(SecretString::from(format!("{PREFIX}{}", hex(&bytes)))))
    }

    /// A token that a person chose.
    ///
    /// # Errors
    /// Where it is too short.
    pub fn chosen(secret: SecretString) -> Result<Self, TokenError> {
        let length = secret.expose_secret().len();
        if length < LEAST_LENGTH { Err(TokenError::TooShort(length)) } else { Ok(Token(secret)) }
    }

    /// The token itself, to be shown once.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    pub fn hash(&self) -> String {
        hash(self.reveal())
    }
}

/// The SHA-256 of a token, in hexadecimal. A token has as many random bits as
/// the hash, so it needs no salt and no slow hash; looking the hash up instead
/// of comparing tokens leaks nothing through time.
pub fn hash(token: &str) -> String {
    hex(&sha256([token.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_hash_as_the_standard_says() {
        let (one, two) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(one.reveal().len(), PREFIX.len() + 64);
        // FIPS 180-4's example for "abc".
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(!format!("{one:?}").contains(one.reveal()), "a token must not reach a log");
    }

    #[test]
    fn a_short_token_is_refused() {
        assert_eq!(Token::chosen("secret".into()).unwrap_err(), TokenError::TooShort(6));
        assert!(Token::chosen("a-longer-secret-0".into()).is_ok());
    }
}
