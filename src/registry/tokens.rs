//! Tokens, of which only the hash is kept, each with a role, and the second
//! factors of their bearers.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Registry, RegistryError, Remark, append_audit, decode, put};
use crate::domain::{Actor, AuditAction, AuditEvent, Role, TenantId, Timestamp};
use crate::ports::{Expect, Order, Table};
use crate::security::SecondFactor;

/// How much of a hash names a token: enough to tell any two apart.
const ID_LENGTH: usize = 16;

/// What is kept of a token, under its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The name that stands in the audit log.
    pub name: String,
    /// What its bearer may do.
    #[serde(default)]
    pub role: Role,
    /// For which tenants; all where empty.
    #[serde(default)]
    pub tenants: Vec<TenantId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it lets nobody in; `None` for never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Since when it lets nobody in, because somebody said so.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    /// The second factor of its bearer.
    #[serde(default)]
    pub second_factor: Option<KeptFactor>,
}

/// A second factor as it is kept. The secret is needed to check codes, and the
/// state's folder is the daemon's own.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptFactor {
    secret: String,
    /// Whether its bearer has shown a code of it.
    pub confirmed: bool,
    /// The step of the last code that counted.
    last_step: Option<u64>,
}

impl std::fmt::Debug for KeptFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptFactor").field("confirmed", &self.confirmed).finish_non_exhaustive()
    }
}

/// A token as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TokenView {
    /// What names it: the beginning of its hash.
    pub id: String,
    /// The name that stands in the audit log.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// For which tenants; all where empty.
    pub tenants: Vec<TenantId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it lets nobody in.
    pub expires_at: Option<Timestamp>,
    /// Since when it lets nobody in, because somebody said so.
    pub revoked_at: Option<Timestamp>,
    /// Whether its bearer has a second factor.
    pub second_factor: bool,
}

/// A token that is to be kept.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The name that stands in the audit log.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// For which tenants; all where empty.
    pub tenants: Vec<TenantId>,
    /// From when on it lets nobody in.
    pub expires_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Why it lets nobody in at `now`; `None` where it does.
    pub fn refusal(&self, now: Timestamp) -> Option<&'static str> {
        let expired = self.expires_at.is_some_and(|at| at <= now);
        match (self.revoked_at.is_some(), expired) {
            (true, _) => Some("this token was revoked"),
            (_, true) => Some("this token has expired"),
            _ => None,
        }
    }

    /// As people see it.
    pub fn view(&self, hash: &str) -> TokenView {
        TokenView {
            id: hash.chars().take(ID_LENGTH).collect(),
            name: self.name.clone(),
            role: self.role,
            tenants: self.tenants.clone(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            second_factor: self.second_factor.as_ref().is_some_and(|factor| factor.confirmed),
        }
    }
}

impl Registry {
    /// Whether any token exists.
    pub async fn has_token(&self) -> Result<bool, RegistryError> {
        Ok(!self.store.scan(Table::Tokens, "", None, Order::Upwards, 1).await?.is_empty())
    }

    /// What is kept under a token's hash.
    pub async fn token(&self, hash: &str) -> Result<Option<TokenRecord>, RegistryError> {
        Ok(self.read(Table::Tokens, hash).await?.map(|(record, _)| record))
    }

    /// Up to `limit` tokens after the id `after`, in the order of ids.
    pub async fn tokens(&self, after: Option<&str>, limit: usize) -> Result<Vec<TokenView>, RegistryError> {
        // Beyond an id stand all hashes that don't begin with it.
        let after = after.map(|id| format!("{id}~"));
        let found = self.store.scan(Table::Tokens, "", after.as_deref(), Order::Upwards, limit).await?;
        let view = |(hash, value): &(String, crate::ports::Versioned)| {
            let record: TokenRecord = decode(Table::Tokens, hash, value)?;
            Ok(record.view(hash))
        };
        found.iter().map(view).collect()
    }

    /// Keeps the first administrator's token; one that is kept already stays.
    pub async fn add_token(&self, hash: &str, name: &str) -> Result<(), RegistryError> {
        if self.token(hash).await?.is_some() {
            return Ok(());
        }
        let first =
            NewToken { name: name.to_owned(), role: Role::Admin, tenants: Vec::new(), expires_at: None };
        let comment = Some("made at start".to_owned());
        let remark = Remark { by: Actor::Daemon, comment, request_id: None };
        self.create_token(hash, first, remark).await.map(drop)
    }

    /// Keeps a token's hash.
    pub async fn create_token(
        &self,
        hash: &str,
        new: NewToken,
        remark: Remark,
    ) -> Result<TokenView, RegistryError> {
        let NewToken { name, role, tenants, expires_at } = new;
        let record = TokenRecord {
            name,
            role,
            tenants,
            created_at: self.now(),
            expires_at,
            revoked_at: None,
            second_factor: None,
        };
        let view = record.view(hash);
        let words = [serde_json::Value::Null, serde_json::json!(view)];
        let event = self.event(AuditAction::TokenCreated, (None, None), words, remark);
        let write = put(Table::Tokens, hash.to_owned(), Expect::Absent, &record)?;
        self.commit(vec![write, append_audit(&event)?]).await?;
        Ok(view)
    }

    /// Lets a token's bearer in no more.
    ///
    /// # Errors
    /// Where there is no such token.
    pub async fn revoke_token(&self, id: &str, remark: Remark) -> Result<TokenView, RegistryError> {
        let (hash, record, version) = self.token_by_id(id).await?;
        if record.revoked_at.is_some() {
            return Ok(record.view(&hash));
        }
        let revoked = TokenRecord { revoked_at: Some(self.now()), ..record };
        self.write_token(&hash, &revoked, version, AuditAction::TokenRevoked, remark).await
    }

    /// Takes a bearer's second factor away, so that a new one can be set up.
    ///
    /// # Errors
    /// Where there is no such token.
    pub async fn reset_second_factor(&self, id: &str, remark: Remark) -> Result<TokenView, RegistryError> {
        let (hash, record, version) = self.token_by_id(id).await?;
        let reset = TokenRecord { second_factor: None, ..record };
        self.write_token(&hash, &reset, version, AuditAction::SecondFactorRemoved, remark).await
    }

    /// Gives a bearer a second factor that is still to be confirmed.
    ///
    /// # Errors
    /// Where the bearer has one.
    pub async fn begin_second_factor(
        &self,
        hash: &str,
        secret: &SecretString,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let (record, version) = self.token_with_version(hash).await?;
        if record.second_factor.as_ref().is_some_and(|factor| factor.confirmed) {
            return Err(RegistryError::HasSecondFactor);
        }
        let secret = secret.expose_secret().to_owned();
        let factor = Some(KeptFactor { secret, confirmed: false, last_step: None });
        let begun = TokenRecord { second_factor: factor, ..record };
        self.write_token(hash, &begun, version, AuditAction::SecondFactorBegun, remark).await.map(drop)
    }

    /// Whether a code is right and was not used before; it counts as used
    /// since. The first right one confirms the factor.
    ///
    /// # Errors
    /// Where the bearer has no second factor, or another code is being used at
    /// the same time.
    pub async fn use_code(&self, hash: &str, code: &str, remark: Remark) -> Result<bool, RegistryError> {
        let (record, version) = self.token_with_version(hash).await?;
        let Some(kept) = record.second_factor.clone() else { return Err(RegistryError::NoSecondFactor) };
        let factor = SecondFactor::kept(&kept.secret.clone().into(), &record.name);
        let seconds = u64::try_from(self.now().millis() / 1000).unwrap_or_default();
        let Some(step) = factor.ok().and_then(|factor| factor.check(code, seconds, kept.last_step)) else {
            return Ok(false);
        };
        let is_new = !kept.confirmed;
        let used = KeptFactor { confirmed: true, last_step: Some(step), ..kept };
        let record = TokenRecord { second_factor: Some(used), ..record };
        if is_new {
            self.write_token(hash, &record, version, AuditAction::SecondFactorConfirmed, remark).await?;
        } else {
            // What it is used for has a line of its own.
            let write = put(Table::Tokens, hash.to_owned(), Expect::Version(version), &record)?;
            self.commit(vec![write]).await?;
        }
        Ok(true)
    }

    /// Writes down that somebody came with a token that lets nobody in.
    pub async fn login_failed(
        &self,
        address: &str,
        why: &str,
        request_id: Option<String>,
    ) -> Result<(), RegistryError> {
        // No token can have this name.
        let by = Actor::Person("(unknown)".to_owned());
        let remark = Remark { by, comment: Some(why.to_owned()), request_id };
        let words = [serde_json::Value::Null, serde_json::json!({"address": address})];
        let event = self.event(AuditAction::LoginFailed, (None, None), words, remark);
        Ok(self.commit(vec![append_audit(&event)?]).await?)
    }

    async fn token_with_version(&self, hash: &str) -> Result<(TokenRecord, u64), RegistryError> {
        let found = self.read(Table::Tokens, hash).await?;
        found.ok_or_else(|| RegistryError::NoSuchToken(hash.chars().take(ID_LENGTH).collect()))
    }

    async fn token_by_id(&self, id: &str) -> Result<(String, TokenRecord, u64), RegistryError> {
        let missing = || RegistryError::NoSuchToken(id.to_owned());
        if id.len() != ID_LENGTH {
            return Err(missing());
        }
        let found = self.store.scan(Table::Tokens, id, None, Order::Upwards, 1).await?;
        let (hash, value) = found.into_iter().next().ok_or_else(missing)?;
        Ok((hash.clone(), decode(Table::Tokens, &hash, &value)?, value.version))
    }

    async fn write_token(
        &self,
        hash: &str,
        record: &TokenRecord,
        version: u64,
        action: AuditAction,
        remark: Remark,
    ) -> Result<TokenView, RegistryError> {
        let view = record.view(hash);
        let event: AuditEvent =
            self.event(action, (None, None), [serde_json::Value::Null, serde_json::json!(view)], remark);
        let write = put(Table::Tokens, hash.to_owned(), Expect::Version(version), record)?;
        self.commit(vec![write, append_audit(&event)?]).await?;
        Ok(view)
    }
}
