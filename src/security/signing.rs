//! Signatures of outgoing messages, as Standard Webhooks 1.0 has them: the
//! HMAC-SHA256 of `id.timestamp.body` under a secret of 24 to 64 bytes that is
//! written as `whsec_` and base64.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// What every signing secret begins with.
const PREFIX: &str = "whsec_";
/// The fewest and the most bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How many of its last characters may be shown.
const HINT: usize = 4;

/// A secret that signs; shown nowhere.
pub struct SigningSecret(hmac::Key);

/// A signing secret that can't be used; reads well after "failed to". It never
/// repeats the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Another beginning.
    #[error("take the signing secret: it must begin with {PREFIX}")]
    NoPrefix,
    /// What follows is no base64.
    #[error("take the signing secret: what follows {PREFIX} is no base64")]
    NoBase64,
    /// Too easily guessed, or longer than the standard allows.
    #[error(
        "take the signing secret: it has {0} bytes and needs 24 to 64, as from `openssl rand -base64 32`"
    )]
    Length(usize),
}

impl SigningSecret {
    /// From `whsec_` and base64.
    ///
    /// # Errors
    /// Where it has another form or length.
    pub fn parse(text: &SecretString) -> Result<Self, SecretError> {
        let encoded = text.expose_secret().strip_prefix(PREFIX).ok_or(SecretError::NoPrefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::NoBase64)?;
        if !BYTES.contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(SigningSecret(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature `v1,<base64>` of a message. `seconds` is when it is sent,
    /// since 1970.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

/// What may be shown of a secret, so that two can be told apart.
pub fn hint(secret: &SecretString) -> String {
    let text = secret.expose_secret();
    let tail: Vec<char> = text.trim_end_matches('=').chars().rev().take(HINT).collect();
    format!("…{}", tail.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn signs_the_example_of_the_standard() {
        let secret = SigningSecret::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_of_another_form_are_refused_without_being_shown() {
        let refused = |text: &str| SigningSecret::parse(&text.to_owned().into()).err();
        assert_eq!(refused("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Some(SecretError::NoPrefix));
        assert_eq!(refused("whsec_not base64"), Some(SecretError::NoBase64));
        assert_eq!(refused("whsec_c2hvcnQ="), Some(SecretError::Length(5)));
        assert_eq!(refused(&format!("whsec_{}", STANDARD.encode([7; 65]))), Some(SecretError::Length(65)));
        assert_eq!(hint(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()), "…LaSw");
    }
}
