//! Who calls, and whether they may: the bearer of a token whose hash is kept,
//! with the role that the route asks for, from where the tenant allows, and
//! with a second factor where its template asks for one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, RawPathParams};
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::RwLock;
use serde::Deserialize;

use super::ApiState;
use super::access::{Reach, Rule, rule_of};
use super::idempotency::UnderWay;
use super::observe::RequestId;
use super::problem::Problem;
use super::sessions::{self, SessionSettings, Sessions};
use crate::domain::template::Network;
use crate::domain::{Actor, Role, Tenant, TenantId};
use crate::registry::{AnswerLimits, RegistryError, Remark, TokenRecord};
use crate::security;

/// Carries the code of a second factor.
const CODE: HeaderName = HeaderName::from_static("x-totp-code");
/// Where a proxy names whom it speaks for.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// From how many addresses on those that are quiet are forgotten.
const MANY_ADDRESSES: usize = 10_000;

/// How callers are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSettings {
    /// How many tokens that were not seen before may be tried from one address
    /// in a minute.
    pub new_tokens_per_minute: u32,
    /// How many requests a second one token may make.
    pub requests_per_second: u32,
    /// The proxies whose word on the caller's address counts.
    pub trusted_proxies: Vec<Network>,
    /// How long a token lets its bearer in where nobody says.
    pub token_life: std::time::Duration,
    /// The longest that a token may let its bearer in.
    pub longest_token_life: std::time::Duration,
    /// How sessions of the dashboard are bounded.
    pub sessions: SessionSettings,
    /// How kept answers to writes are bounded.
    pub answers: AnswerLimits,
}

impl Default for AccessSettings {
    fn default() -> Self {
        let days = |days: u64| std::time::Duration::from_secs(days * 86_400);
        AccessSettings {
            new_tokens_per_minute: 30,
            requests_per_second: 20_000,
            trusted_proxies: Vec::new(),
            token_life: days(90),
            longest_token_life: days(730),
            sessions: SessionSettings::default(),
            answers: AnswerLimits::default(),
        }
    }
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// What is remembered of callers: how often they called, and which tokens let
/// their bearers in, so that guessing never locks those out.
pub(super) struct Gate {
    attempts: Limiter<IpAddr>,
    requests: Limiter<String>,
    seen: Arc<RwLock<HashSet<String>>>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) under_way: UnderWay,
}

impl Gate {
    pub(super) fn new(settings: &AccessSettings) -> Self {
        let some = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Gate {
            attempts: RateLimiter::hashmap(Quota::per_minute(some(settings.new_tokens_per_minute))),
            requests: RateLimiter::hashmap(Quota::per_second(some(settings.requests_per_second))),
            seen: Arc::default(),
            sessions: Arc::default(),
            under_way: UnderWay::default(),
        }
    }

    /// The same callers under other limits, which count from the beginning.
    pub(super) fn with(&self, settings: &AccessSettings) -> Self {
        Gate {
            seen: Arc::clone(&self.seen),
            sessions: Arc::clone(&self.sessions),
            under_way: self.under_way.clone(),
            ..Gate::new(settings)
        }
    }

    /// Slows down whoever tries one token after another.
    fn attempt(&self, hash: &str, address: IpAddr) -> Result<(), Problem> {
        if self.seen.read().contains(hash) {
            return Ok(());
        }
        if self.attempts.len() > MANY_ADDRESSES {
            self.attempts.retain_recent();
        }
        self.attempts.check_key(&block(address)).map_err(|until| {
            too_many(until.wait_time_from(DefaultClock::default().now()), "tokens tried from this address")
        })
    }

    fn request(&self, hash: &str) -> Result<(), Problem> {
        let known = hash.to_owned();
        self.requests.check_key(&known).map_err(|until| {
            too_many(until.wait_time_from(DefaultClock::default().now()), "requests with this token")
        })
    }
}

/// The addresses that one caller can choose from freely: of IPv6, 64 bits.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four => four,
    }
}

fn too_many(wait: std::time::Duration, of_what: &str) -> Problem {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("too many {of_what}; come again in {seconds} s"))
        .retry_after(seconds)
}

/// Who calls, and which call it is.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Call>);

#[derive(Debug)]
struct Call {
    token: Arc<TokenRecord>,
    hash: String,
    session: Option<String>,
    address: Option<IpAddr>,
    code: Option<String>,
    rule: Rule,
    request_id: Option<String>,
}

impl Caller {
    /// The caller's words, as they stand in the audit log.
    pub fn remark(&self, comment: Option<String>) -> Remark {
        Remark { by: self.actor(), comment, request_id: self.0.request_id.clone() }
    }

    /// The caller, as it stands in the audit log.
    pub fn actor(&self) -> Actor {
        Actor::Person(self.0.token.name.clone())
    }

    /// The call, as it stands in the audit log.
    pub fn request_id(&self) -> Option<String> {
        self.0.request_id.clone()
    }

    /// The hash of its token.
    pub(super) fn hash(&self) -> &str {
        &self.0.hash
    }

    /// The hash of the session that stands for the token; `None` where the
    /// caller sent the token itself.
    pub(super) fn session(&self) -> Option<&str> {
        self.0.session.as_deref()
    }

    /// Where it is.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// Its role.
    pub(super) fn role(&self) -> Role {
        self.0.token.role
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.0.token.name
    }

    /// Whether the caller may act for a tenant: its token is for it, it calls
    /// from where the tenant's template allows, and with a second factor where
    /// that is asked for. A tenant that is not there allows everything; what
    /// follows will not find it.
    ///
    /// # Errors
    /// 403 with what is missing.
    pub async fn admit(&self, state: &ApiState, id: &TenantId) -> Result<(), Problem> {
        self.admit_all(state, [id]).await
    }

    /// Whether the caller may act for all of these tenants with one request. The
    /// code of a second factor counts once: for this request, however many of
    /// them ask for it, and for no other.
    ///
    /// # Errors
    /// 403 with what is missing; the code is not used up where a tenant is out
    /// of reach.
    pub async fn admit_all(
        &self,
        state: &ApiState,
        ids: impl IntoIterator<Item = &TenantId>,
    ) -> Result<(), Problem> {
        let asked = self.check_tenants(state, ids).await?;
        if asked && self.0.rule.decides { self.check_code(state).await } else { Ok(()) }
    }

    /// Whether the caller may change what the path names, where the route decides
    /// on a tenant's quotas or on what guards them.
    ///
    /// # Errors
    /// 403 with what is missing.
    pub(super) async fn admit_named(&self, state: &ApiState, named: Option<String>) -> Result<(), Problem> {
        let asks = self.0.rule.reach == Reach::Path && self.0.rule.decides;
        match named.filter(|_| asks).map(|id| id.parse::<TenantId>()) {
            Some(Ok(id)) => self.admit(state, &id).await,
            // What is no id is refused by the handler.
            None | Some(Err(_)) => Ok(()),
        }
    }

    /// The tenants that the token is for; none where it is for all.
    pub fn tenants(&self) -> &[TenantId] {
        &self.0.token.tenants
    }

    /// Whether the caller may look at all of these tenants. No second factor is
    /// asked for, so it is nothing to change them by.
    ///
    /// # Errors
    /// 403 with what is missing.
    pub async fn reach_all(
        &self,
        state: &ApiState,
        ids: impl IntoIterator<Item = &TenantId>,
    ) -> Result<(), Problem> {
        self.check_tenants(state, ids).await.map(drop)
    }

    /// Those of some tenants that the caller may not act for with this request,
    /// each with why; it acts for the others. A code of a second factor is used
    /// up only where the request is `meant`.
    ///
    /// # Errors
    /// 403 where the code is wrong.
    pub async fn kept_from(
        &self,
        state: &ApiState,
        ids: &BTreeSet<TenantId>,
        meant: bool,
    ) -> Result<BTreeMap<TenantId, String>, Problem> {
        let (mut kept_from, mut asked) = (BTreeMap::new(), false);
        for id in ids {
            match self.check_tenant(state, id).await {
                Ok(true) if self.0.code.is_none() => {
                    kept_from.insert(id.clone(), NO_CODE.to_owned());
                }
                Ok(needs_code) => asked |= needs_code,
                Err(problem) if problem.is(StatusCode::FORBIDDEN) => {
                    kept_from.insert(id.clone(), problem.detail().to_owned());
                }
                Err(problem) => return Err(problem),
            }
        }
        if asked && meant {
            self.check_code(state).await?;
        }
        Ok(kept_from)
    }

    /// Whether any of some tenants, all of which the caller reaches, asks for a
    /// second factor.
    async fn check_tenants(
        &self,
        state: &ApiState,
        ids: impl IntoIterator<Item = &TenantId>,
    ) -> Result<bool, Problem> {
        let mut asked = false;
        for id in ids {
            asked |= self.check_tenant(state, id).await?;
        }
        Ok(asked)
    }

    /// Whether a tenant that the caller reaches asks for a second factor.
    async fn check_tenant(&self, state: &ApiState, id: &TenantId) -> Result<bool, Problem> {
        if !self.0.token.tenants.is_empty() && !self.0.token.tenants.contains(id) {
            let names: Vec<&str> = self.0.token.tenants.iter().map(TenantId::as_str).collect();
            return Err(forbidden(format!("this token is for {} only, not for {id}", names.join(", "))));
        }
        let tenant = match state.engine.registry().standing_tenant(id).await {
            Err(RegistryError::NoSuchTenant(_)) => return Ok(false),
            other => other?,
        };
        self.check_address(&tenant)?;
        Ok(tenant.template.as_ref().is_some_and(|template| template.mfa_required))
    }

    /// Whether a caller that has waited may still have its answer: its token
    /// still holds, and still for this tenant.
    ///
    /// # Errors
    /// 401 or 403 with what is missing.
    pub async fn admit_again(&self, state: &ApiState, id: &TenantId) -> Result<(), Problem> {
        known(state, &self.0.hash, self.0.address, self.0.request_id.clone()).await?;
        self.admit(state, id).await
    }

    /// An administrator may come from anywhere: somebody must be able to mend
    /// the list.
    fn check_address(&self, tenant: &Tenant) -> Result<(), Problem> {
        let allowed = tenant.template.as_ref().map_or(&[][..], |template| &template.ip_whitelist);
        let is_in = |address| allowed.iter().any(|network| network.contains(address));
        if allowed.is_empty() || self.0.token.role == Role::Admin || self.0.address.is_some_and(is_in) {
            return Ok(());
        }
        let from =
            self.0.address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string());
        Err(forbidden(format!("{} may not be acted for from {from}; see its ip_whitelist", tenant.id)))
    }

    async fn check_code(&self, state: &ApiState) -> Result<(), Problem> {
        let Some(code) = &self.0.code else {
            return Err(forbidden(NO_CODE));
        };
        self.use_code(state, code).await
    }

    /// Uses a code of the caller's second factor up. Guessing is as slow as
    /// with tokens.
    ///
    /// # Errors
    /// 403 where it is wrong or was used, 409 where there is no second factor.
    pub(super) async fn use_code(&self, state: &ApiState, code: &str) -> Result<(), Problem> {
        let address = block(self.0.address.unwrap_or(NOWHERE));
        state.gate.attempts.check_key(&address).map_err(|until| {
            too_many(until.wait_time_from(DefaultClock::default().now()), "codes from this address")
        })?;
        if state.engine.registry().use_code(&self.0.hash, code, self.remark(None)).await? {
            return Ok(());
        }
        let why = format!("a wrong code of {}", self.0.token.name);
        audit_failure(state, self.0.address, &why, self.0.request_id.clone()).await?;
        Err(forbidden("this code is wrong, or was used already; wait for the next"))
    }
}

/// What is missing where a second factor is asked for.
const NO_CODE: &str = "the tenant's template asks for a second factor: send the code of your authenticator as \
                       X-TOTP-Code; POST /v1/token/second-factor sets one up";

/// Where a caller is whose address nobody knows.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

/// The tenant that a path names.
pub(super) fn tenant_in(parameters: &RawPathParams) -> Option<String> {
    parameters.iter().find(|(name, _)| *name == "id").map(|(_, id)| id.to_owned())
}

/// The caller, where it bears a token that lets it do what it asks for.
///
/// # Errors
/// 401 where the token lets nobody in, 403 with what is missing, 429 where it
/// asks too often.
pub(super) async fn admitted(
    state: &ApiState,
    parameters: &RawPathParams,
    request: &Parts,
) -> Result<Caller, Problem> {
    let address = address_of(request, &state.settings.access.trusted_proxies);
    let request_id = request.extensions.get::<RequestId>().map(|id| id.0.clone());
    let (hash, session) = credential(state, request, address)?;
    let token = known(state, &hash, address, request_id.clone()).await.inspect_err(|_| {
        // Else each request of an open page would stand in the audit log.
        session.iter().for_each(|session| state.gate.sessions.end(session));
    })?;
    state.gate.request(&hash)?;
    let path = request.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let rule = rule_of(&request.method, path);
    let code = request.headers.get(CODE).and_then(|code| code.to_str().ok()).map(str::to_owned);
    if token.role < rule.role {
        let text = format!("this needs the role {}; this token has {}", rule.role, token.role);
        return Err(forbidden(text));
    }
    let caller = Caller(Arc::new(Call { token, hash, session, address, code, rule, request_id }));
    check_reach(state, &caller, parameters, &request.uri).await?;
    Ok(caller)
}

/// The hash of the token that a request carries, or of the one that its session
/// stands for, with the hash of that session.
fn credential(
    state: &ApiState,
    request: &Parts,
    address: Option<IpAddr>,
) -> Result<(String, Option<String>), Problem> {
    if let Some(token) = bearer(&request.headers) {
        let hash = security::hash(token);
        state.gate.attempt(&hash, address.unwrap_or(NOWHERE))?;
        return Ok((hash, None));
    }
    let Some(session) = sessions::of_request(&request.headers) else {
        return Err(unauthorized("send a token, as in Authorization: Bearer plim_…"));
    };
    let settings = &state.settings.access.sessions;
    let token = state.gate.sessions.token_of(&session, state.engine.now(), settings);
    let token = token.ok_or_else(|| unauthorized("this session is over; log in again"))?;
    sessions::check_site(request)?;
    Ok((token, Some(session)))
}

/// What is kept of a token that lets its bearer in.
async fn known(
    state: &ApiState,
    hash: &str,
    address: Option<IpAddr>,
    request_id: Option<String>,
) -> Result<Arc<TokenRecord>, Problem> {
    let registry = state.engine.registry();
    let why = match registry.standing_token(hash).await? {
        None => "this token is not known",
        Some(record) => match record.refusal(registry.now()) {
            Some(why) => {
                state.gate.seen.write().remove(hash);
                why
            }
            None => {
                if !state.gate.seen.read().contains(hash) {
                    state.gate.seen.write().insert(hash.to_owned());
                }
                return Ok(record);
            }
        },
    };
    // In a place of its own, so that all others need not carry the room for it along.
    Box::pin(audit_failure(state, address, why, request_id)).await?;
    Err(unauthorized(why))
}

async fn audit_failure(
    state: &ApiState,
    address: Option<IpAddr>,
    why: &str,
    request_id: Option<String>,
) -> Result<(), Problem> {
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    Ok(state.engine.registry().login_failed(&address, why, request_id).await?)
}

/// Whether the token reaches what the route concerns.
async fn check_reach(
    state: &ApiState,
    caller: &Caller,
    parameters: &RawPathParams,
    uri: &Uri,
) -> Result<(), Problem> {
    let tenant = match caller.0.rule.reach {
        Reach::Caller | Reach::Record => return Ok(()),
        Reach::Fleet => None,
        Reach::Path => tenant_in(parameters),
        Reach::Query => tenant_of(uri),
    };
    // What is no id is refused by the handler.
    match tenant.map(|id| id.parse::<TenantId>()) {
        Some(Ok(id)) => caller.reach_all(state, [&id]).await,
        None | Some(Err(_)) if caller.tenants().is_empty() => Ok(()),
        _ => {
            let names: Vec<&str> = caller.tenants().iter().map(TenantId::as_str).collect();
            let text = "this token is for some tenants only";
            Err(forbidden(format!("{text} ({}); ask for one of them by its name", names.join(", "))))
        }
    }
}

#[derive(Deserialize)]
struct OfTenant {
    tenant: Option<String>,
}

fn tenant_of(uri: &Uri) -> Option<String> {
    axum::extract::Query::<OfTenant>::try_from_uri(uri).ok().and_then(|query| query.0.tenant)
}

/// Where the caller is: the peer, or whom a trusted proxy speaks for.
fn address_of(request: &Parts, trusted: &[Network]) -> Option<IpAddr> {
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
    let is_proxy = |address: &IpAddr| trusted.iter().any(|network| network.contains(*address));
    if !is_proxy(&peer) {
        return Some(peer);
    }
    let hops = request.headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    // The last hop that is no proxy of ours is the first that can be believed.
    for hop in hops.iter().rev() {
        let address: IpAddr = hop.parse().ok()?;
        if !is_proxy(&address) {
            return Some(address.to_canonical());
        }
    }
    Some(peer)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
}
