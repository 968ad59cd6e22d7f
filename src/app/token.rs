//! Sees to it that there is a token to call the API with.

use anyhow::Context;
use secrecy::SecretString;

use crate::registry::Registry;
use crate::security::Token;

/// The name under which the first token's actions are audited.
const NAME: &str = "admin";

/// Keeps the configured token's hash; without one, and without any kept
/// before, makes a token and prints it once.
///
/// # Errors
/// Where the token is too short, or the store fails.
pub async fn ensure(registry: &Registry, configured: Option<SecretString>) -> anyhow::Result<()> {
    let chosen = configured.map(Token::chosen).transpose().context("failed to use server.token")?;
    if let Some(token) = chosen {
        return registry.add_token(&token.hash(), NAME).await.context("failed to keep the token");
    }
    if registry.has_token().await.context("failed to look for tokens")? {
        return Ok(());
    }
    let token = Token::generate().context("failed to make the first token")?;
    registry.add_token(&token.hash(), NAME).await.context("failed to keep the token")?;
    announce(&token);
    Ok(())
}

#[allow(
    clippy::print_stdout,
    reason = "the one place where a secret is shown: once, to whoever starts the daemon"
)]
fn announce(token: &Token) {
    println!("The API's token, shown this once and kept only as a hash:\n\n    {}\n", token.reveal());
}
