//! Who may do what on the real daemon: roles, tenants, addresses, second
//! factors, and guessing.

use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::Daemon;
use crate::setup::{TOKEN, config_for, nowhere};

const QUOTA: &str = "/v1/tenants/acme/quotas/cpu_cores";
/// The tests speak for others, as a proxy does.
const ACCESS: &str = "\n[access]\ntrusted_proxies = [\"127.0.0.1/32\"]\nnew_tokens_per_minute = 20\n";

async fn daemon() -> (Daemon, Caller) {
    let daemon = Daemon::start(&config_for(&nowhere(), ACCESS)).await;
    let caller = Caller::of(&daemon);
    for id in ["acme", "beta"] {
        assert_eq!(caller.post("/v1/tenants", &json!({"id": id, "tier": "PREMIUM"})).await.0, 201);
    }
    (daemon, caller)
}

async fn bearer(caller: &Caller, name: &str, role: &str, tenants: &[&str]) -> (String, Caller) {
    let body = json!({"name": name, "role": role, "tenants": tenants});
    let (status, made) = caller.post("/v1/tokens", &body).await;
    assert_eq!(status, 201, "{made:#}");
    (made["id"].as_str().unwrap().to_owned(), caller.with_token(made["token"].as_str().unwrap()))
}

fn plimsoll(daemon: &Daemon, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let (command, rest) = (command.arg(arguments[0]).args(["--server", &daemon.url]), &arguments[1..]);
    command.args(rest).env("PLIMSOLL_TOKEN", token).output().unwrap()
}

fn wrote(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = plimsoll(daemon, TOKEN, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The code of a second factor, some steps of 30 seconds from now.
fn code(secret: &str, steps: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(now + 30 * steps).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_do_what_its_role_and_its_tenants_allow() {
    let (mut daemon, admin) = daemon().await;
    let (_, viewer) = bearer(&admin, "vera", "viewer", &[]).await;
    let (_, operator) = bearer(&admin, "otto", "operator", &[]).await;
    let (id, approver) = bearer(&admin, "ada", "approver", &["acme"]).await;
    let limit = json!({"limit": 9});
    assert_eq!(viewer.get(QUOTA).await.0, 200);
    assert_eq!(viewer.put(QUOTA, Some("\"1\""), &limit).await.0, 403);
    assert_eq!(operator.post("/v1/tenants", &json!({"id": "c", "tier": "FREE"})).await.0, 201);
    let (status, problem) = operator.put(QUOTA, Some("\"1\""), &limit).await;
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("needs the role approver"), "{problem:#}");
    assert_eq!(operator.get("/v1/tokens").await.0, 403);
    assert_eq!(approver.put(QUOTA, Some("\"1\""), &limit).await.0, 200);
    // Ada is for acme only.
    for (path, status) in [
        ("/v1/tenants/acme", 200),
        ("/v1/tenants/beta", 403),
        ("/v1/tenants/nobody", 403),
        ("/v1/tenants", 403),
        ("/v1/audit", 403),
        ("/v1/audit?tenant=beta", 403),
        ("/v1/audit?tenant=acme&tenant=beta", 403),
        ("/v1/audit?tenant=acme", 200),
        ("/v1/recommendations?tenant=acme", 200),
        ("/v1/tenants/%61cme/quotas", 200),
        ("/v1/tenants/%62eta/quotas", 403),
        ("/v1/templates", 403),
        ("/v1/summary", 403),
        ("/v1/token", 200),
    ] {
        assert_eq!(approver.get(path).await.0, status, "{path}");
    }
    let (_, audit) = admin.get("/v1/audit?tenant=acme").await;
    assert_eq!(audit["items"][0]["actor"]["name"], "ada", "{audit:#}");

    // A restart keeps them, a revocation ends one at once, and time another.
    daemon.kill();
    daemon.start_again().await;
    assert_eq!(approver.get(QUOTA).await.0, 200);
    let revoked = admin.call(Method::DELETE, &format!("/v1/tokens/{id}"), None, None).await.unwrap();
    assert_eq!(revoked.0, 200, "{revoked:?}");
    let (status, problem) = approver.get(QUOTA).await;
    assert!(status == 401 && problem["detail"] == "this token was revoked", "{problem:#}");
    let short = json!({"name": "short", "role": "viewer", "expires_in": "300ms"});
    let (_, made) = admin.post("/v1/tokens", &short).await;
    let short = admin.with_token(made["token"].as_str().unwrap());
    short.wait_until("it has expired", || async { short.get(QUOTA).await.0 == 401 }).await;
    for (body, words) in [
        (json!({"name": "a b", "role": "viewer"}), "1 to 64"),
        (json!({"name": "a", "role": "root"}), "root"),
        (json!({"name": "a", "role": "viewer", "expires_in": "9000d"}), "longest_token_life"),
        (json!({"name": "a", "role": "viewer", "tenants": ["nobody"]}), "find the tenant nobody"),
    ] {
        let (status, problem) = admin.post("/v1/tokens", &body).await;
        assert!(status == 422 || status == 404, "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_need_the_second_factor_that_the_template_asks_for() {
    let (daemon, admin) = daemon().await;
    let strict = json!({"name": "strict", "tier": "PREMIUM",
        "security_config": {"level": "ENHANCED", "mfa_required": true, "ip_whitelist": ["10.0.0.0/8"]}});
    assert_eq!(admin.post("/v1/templates", &strict).await.0, 201);
    let follow = json!({"template": "strict"});
    let moved = admin.call(Method::PATCH, "/v1/tenants/acme", None, Some(&follow)).await.unwrap();
    assert_eq!(moved.0, 200, "{moved:?}");
    let body = json!({"name": "ada", "role": "approver", "tenants": ["acme"]});
    let (_, made) = admin.post("/v1/tokens", &body).await;
    let token = made["token"].as_str().unwrap().to_owned();
    let call = |method: Method, path: &str, from: &str, code: Option<String>, body: Value| {
        let request = daemon.http().request(method, format!("{}{path}", daemon.url)).bearer_auth(&token);
        let request = request.header("x-forwarded-for", from).header("if-match", "*");
        let request = match code {
            Some(code) => request.header("x-totp-code", code),
            None => request,
        };
        async move {
            let response = request.json(&body).send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json::<Value>().await.unwrap_or_default())
        }
    };
    let (inside, limit) = ("10.1.2.3", json!({"limit": 9}));
    let put = |from: &str, code: Option<String>| call(Method::PUT, QUOTA, from, code, limit.clone());
    let (status, problem) = call(Method::GET, QUOTA, "203.0.113.9", None, Value::Null).await;
    assert!(status == 403 && problem["detail"].as_str().unwrap().contains("ip_whitelist"), "{problem:#}");
    // What a caller says before the proxy's own word is not believed.
    assert_eq!(call(Method::GET, QUOTA, "10.1.2.3, 203.0.113.9", None, Value::Null).await.0, 403);
    assert_eq!(call(Method::GET, QUOTA, inside, None, Value::Null).await.0, 200);
    assert_eq!(admin.get(QUOTA).await.0, 200, "an administrator may come from anywhere");

    let (status, problem) = put(inside, None).await;
    assert!(status == 403 && problem["detail"].as_str().unwrap().contains("X-TOTP-Code"), "{problem:#}");
    assert_eq!(put(inside, Some("123456".to_owned())).await.0, 409, "there is no second factor yet");
    let (status, factor) = call(Method::POST, "/v1/token/second-factor", inside, None, Value::Null).await;
    assert_eq!(status, 201, "{factor:#}");
    assert!(factor["url"].as_str().unwrap().starts_with("otpauth://totp/Plimsoll:ada"), "{factor:#}");
    let secret = factor["secret"].as_str().unwrap();
    let confirm = |code: String| {
        call(Method::POST, "/v1/token/second-factor/confirm", inside, None, json!({ "code": code }))
    };
    assert_eq!(confirm("000000".to_owned()).await.0, 403);
    assert_eq!(confirm(code(secret, 0)).await.0, 204);
    assert_eq!(call(Method::POST, "/v1/token/second-factor", inside, None, Value::Null).await.0, 409);
    let next = code(secret, 1);
    let keyed = || {
        let request = daemon.http().put(format!("{}{QUOTA}", daemon.url)).bearer_auth(&token).json(&limit);
        let headers = [
            ("x-forwarded-for", inside),
            ("if-match", "*"),
            ("x-totp-code", &next),
            ("idempotency-key", "k"),
        ];
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    let first = keyed().await.unwrap();
    assert_eq!(first.status(), 200);
    let first: Value = first.json().await.unwrap();
    assert_eq!(first["limit"], 9.0);
    let again = keyed().await.unwrap();
    assert_eq!(
        (again.status().as_u16(), &again.headers()["idempotency-replayed"]),
        (200, &"true".parse().unwrap())
    );
    assert_eq!(again.json::<Value>().await.unwrap(), first, "it is only answered again, and uses no code up");
    assert_eq!(put(inside, Some(next)).await.0, 403, "a code counts once");

    let (_, audit) = admin.get("/v1/audit?limit=20").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    for action in ["quota_changed", "second_factor_confirmed", "second_factor_begun", "login_failed"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(!audit.to_string().contains(secret), "no secret stands in the log");
    assert!(wrote(&daemon, &["token", "reset-factor", "ada"]).contains("no second factor"));
    assert_eq!(call(Method::POST, "/v1/token/second-factor", inside, None, Value::Null).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_counts_once_for_all_tenants_of_one_request() {
    let (daemon, admin) = daemon().await;
    let strict = json!({"name": "strict", "tier": "PREMIUM", "security_config": {"mfa_required": true}});
    assert_eq!(admin.post("/v1/templates", &strict).await.0, 201);
    for id in ["acme", "beta"] {
        let follow = json!({"template": "strict"});
        let path = format!("/v1/tenants/{id}");
        assert_eq!(admin.call(Method::PATCH, &path, None, Some(&follow)).await.unwrap().0, 200);
    }
    let (_, made) = admin.post("/v1/tokens", &json!({"name": "ada", "role": "approver"})).await;
    let token = made["token"].as_str().unwrap().to_owned();
    let post = async |path: &str, code: Option<&str>, body: &Value| {
        let request = daemon.http().post(format!("{}{path}", daemon.url)).bearer_auth(&token).json(body);
        let request = code.into_iter().fold(request, |request, code| request.header("x-totp-code", code));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap_or_default())
    };
    let (_, factor) = post("/v1/token/second-factor", None, &Value::Null).await;
    let secret = factor["secret"].as_str().unwrap();
    let confirm = json!({"code": code(secret, 0)});
    assert_eq!(post("/v1/token/second-factor/confirm", None, &confirm).await.0, 204);
    let limit = |tenant: &str| json!({"tenant": tenant, "resource": "cpu_cores", "limit": 6.0});
    let wish = json!({
        "name": "smaller", "reason": "a test", "strategy": {"kind": "blue_green"},
        "take": {"kind": "changes", "changes": [limit("acme"), limit("beta")]},
    });
    assert_eq!(post("/v1/rollouts", None, &wish).await.0, 403, "both ask for a code");
    let next = code(secret, 1);
    let (status, begun) = post("/v1/rollouts", Some(&next), &wish).await;
    assert_eq!(status, 201, "one code for the one request: {begun:#}");
    let switch = format!("/v1/rollouts/{}/switch", begun["id"].as_str().unwrap());
    assert_eq!(post(&switch, Some(&next), &json!({"reason": "go"})).await.0, 403, "never again");
    let (_, quota) = admin.get(QUOTA).await;
    assert_eq!(quota["limit"], json!(8.0), "{quota:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_and_written_down_and_locks_nobody_out() {
    let (daemon, admin) = daemon().await;
    let mut statuses = Vec::new();
    for guess in 0..40 {
        statuses.push(admin.with_token(&format!("plim_guess-{guess}")).get(QUOTA).await.0);
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[39], 429, "{statuses:?}");
    assert_eq!(admin.get(QUOTA).await.0, 200, "who was let in before still is");
    let guess = daemon.http().get(format!("{}{QUOTA}", daemon.url)).bearer_auth("plim_guess-99");
    let response = guess.send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"), "{response:?}");
    // Somebody else comes from elsewhere.
    let other = daemon.http().get(format!("{}{QUOTA}", daemon.url)).bearer_auth("plim_guess-99");
    let response = other.header("x-forwarded-for", "198.51.100.7").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 401);
    let (_, audit) = admin.get("/v1/audit?limit=1").await;
    let line = &audit["items"][0];
    assert_eq!(
        (&line["action"], &line["after"]["address"]),
        (&json!("login_failed"), &json!("198.51.100.7"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_ask_the_daemon_and_say_how_it_went() {
    let (daemon, _admin) = daemon().await;
    let made = wrote(&daemon, &["token", "create", "vera", "--role", "viewer", "--expires-in", "1h"]);
    let token = made.split_whitespace().find(|word| word.starts_with("plim_")).unwrap();
    assert!(wrote(&daemon, &["token", "list"]).contains("vera"));
    assert!(
        wrote(&daemon, &["tenant", "create", "gamma", "--tier", "FREE", "--quota", "cpu_cores=1.5"])
            .contains("gamma")
    );
    assert!(wrote(&daemon, &["tenant", "list"]).contains("gamma"));
    let changed = wrote(&daemon, &["tenant", "change", "gamma", "--apply-mode", "review"]);
    assert!(changed.contains("review"), "{changed}");
    assert!(wrote(&daemon, &["tenant", "settings", "gamma"]).contains("rightsizing.budgets.FREE"));
    assert!(wrote(&daemon, &["quota", "list", "gamma"]).contains("1.5"));
    assert!(
        wrote(&daemon, &["quota", "set", "gamma", "cpu_cores", "1.7", "--reason", "more"]).contains("1.7")
    );
    let quota = wrote(&daemon, &["quota", "-o", "json", "get", "gamma", "cpu_cores"]);
    assert_eq!(serde_json::from_str::<Value>(&quota).unwrap()["generation"], 2);
    assert!(wrote(&daemon, &["quota", "-o", "yaml", "get", "gamma", "cpu_cores"]).contains("generation: 2"));
    assert!(wrote(&daemon, &["recommendation", "list"]).contains("recommended"));
    let audit = wrote(&daemon, &["audit", "list", "--tenant", "gamma"]);
    assert!(audit.contains("quota_changed") && audit.contains("more"), "{audit}");
    let audit = wrote(&daemon, &["audit", "list", "--limit", "1", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&audit).unwrap()["items"].as_array().map(Vec::len), Some(1));
    wrote(&daemon, &["token", "revoke", "vera"]);
    let gamma = ["quota", "set", "gamma", "cpu_cores"];
    for (token, arguments, code, words) in [
        (token, vec!["tenant", "list"], 1, "revoked"),
        (TOKEN, [&gamma[..], &["1.8", "--generation", "1"]].concat(), 1, "412"),
        (TOKEN, [&gamma[..], &["1e9"]].concat(), 2, "ceiling"),
        (TOKEN, vec!["tenant", "get", "nobody"], 2, "find the tenant nobody"),
        (TOKEN, vec!["tenant", "create", "x"], 2, "--tier"),
        (TOKEN, vec!["token", "revoke", "nobody"], 2, "find a token"),
        (TOKEN, vec!["recommendation", "approve", "odd"], 2, "odd"),
    ] {
        let output = plimsoll(&daemon, token, &arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    wrote(&daemon, &["tenant", "remove", "gamma"]);
    for shell in ["bash", "zsh", "fish"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(["completions", shell]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("template"), "{shell}");
    }
}
