//! The second factor: codes of six digits that change every 30 seconds
//! (TOTP, RFC 6238), as authenticator apps show them. A code counts once.

use secrecy::{ExposeSecret, SecretString};
use totp_rs::{Builder, Secret, Totp};

/// What authenticator apps show as the issuer.
const ISSUER: &str = "Plimsoll";
/// How many steps of 30 seconds a clock may be off.
const SKEW: u16 = 1;

/// What makes and checks codes; shown once, to its owner.
pub struct SecondFactor(Totp);

/// A second factor that can't be made; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecondFactorError {
    /// The library refused the parts.
    #[error("make a second factor: {0}")]
    Refused(String),
}

impl SecondFactor {
    /// A new one for the owner of this name.
    ///
    /// # Errors
    /// Where the name can't stand in a URL of its kind.
    pub fn generate(name: &str) -> Result<Self, SecondFactorError> {
        SecondFactor::of(Secret::generate(), name)
    }

    /// The one of which [`secret`](Self::secret) was kept.
    ///
    /// # Errors
    /// Where it is none.
    pub fn kept(secret: &SecretString, name: &str) -> Result<Self, SecondFactorError> {
        let secret = Secret::try_from_base32(secret.expose_secret());
        // What is said must not hold the secret.
        let secret = secret.map_err(|_| SecondFactorError::Refused("the secret is no base32".to_owned()))?;
        SecondFactor::of(secret, name)
    }

    fn of(secret: Secret, name: &str) -> Result<Self, SecondFactorError> {
        let builder = Builder::new().with_secret(secret).with_skew(SKEW);
        let builder = builder.with_account_name(name).with_issuer(Some(ISSUER));
        let refused = |error: totp_rs::TotpError| SecondFactorError::Refused(error.to_string());
        builder.build().map(SecondFactor).map_err(refused)
    }

    /// The secret in base32, to be kept and to be typed into an app.
    pub fn secret(&self) -> SecretString {
        self.0.secret().to_base32().into()
    }

    /// The same as a URL that apps read from a picture.
    ///
    /// # Errors
    /// Where the name can't stand in it.
    pub fn url(&self) -> Result<SecretString, SecondFactorError> {
        let url = self.0.to_url().map_err(|error| SecondFactorError::Refused(error.to_string()))?;
        Ok(url.into())
    }

    /// The number of the step that a code belongs to; `None` where it is wrong
    /// or belongs to no step after `last`. `seconds` is the present since 1970.
    pub fn check(&self, code: &str, seconds: u64, last: Option<u64>) -> Option<u64> {
        let step = self.0.check(code.trim(), seconds)?;
        last.is_none_or(|last| step > last).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix B of RFC 6238, whose codes of eight digits end in these six.
    #[test]
    fn codes_are_those_of_the_standard_and_count_once() {
        let secret = Secret::new(b"12345678901234567890".to_vec().into_boxed_slice()).to_base32();
        let factor = SecondFactor::kept(&secret.into(), "ada").unwrap();
        assert_eq!(factor.check("287082", 59, None), Some(1));
        assert_eq!(factor.check("081804", 1_111_111_109, None), Some(37_037_036));
        assert_eq!(factor.check("287082", 59, Some(1)), None, "a code counts once");
        assert_eq!(factor.check("287082", 89, None), Some(1), "a clock may be a step off");
        assert_eq!(factor.check("287082", 200, None), None);
        for bad in ["", "287083", "28708", "2870822", "ab7082"] {
            assert_eq!(factor.check(bad, 59, None), None, "{bad}");
        }
        assert!(factor.url().unwrap().expose_secret().starts_with("otpauth://totp/Plimsoll:ada"));
        let new = SecondFactor::generate("ada").unwrap();
        assert_ne!(
            new.secret().expose_secret(),
            SecondFactor::generate("ada").unwrap().secret().expose_secret()
        );
    }
}
