//! Writes that are sent more than once.

use futures::future::join_all;

use super::*;

const SILENCE: &str = r#"{"reason": "known", "until": "2026-09-22T00:00:00Z"}"#;

async fn silence(api: &Router, key: &str, body: &str) -> (StatusCode, HeaderMap, Value) {
    let body = serde_json::from_str(body).unwrap();
    call(api, "POST", "/v1/silences", &[("idempotency-key", key)], Some(body)).await
}

async fn silences(api: &Router) -> usize {
    get(api, "/v1/silences").await.2["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_write_is_done_once_however_often_it_is_sent() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let (api, _) = api_over(store.clone(), 1).await;
    let (status, headers, first) = silence(&api, "a", SILENCE).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    assert!(!headers.contains_key("idempotency-replayed"));
    // A daemon that was started again knows it, too.
    for api in [api, api_over(store, 2).await.0] {
        let (status, again, second) = silence(&api, "a", SILENCE).await;
        assert_eq!((status, &second), (StatusCode::CREATED, &first));
        assert_eq!(again["idempotency-replayed"], "true");
        for name in ["content-type", "location", "etag"] {
            assert_eq!(again.get(name), headers.get(name), "{name}");
        }
        assert_eq!(silences(&api).await, 1);
        let (status, _, other) = silence(&api, "a", &SILENCE.replace("known", "other")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{other}");
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let (api, _) = api_over(Arc::new(MemoryStore::default()), 1).await;
    let all = join_all((0..20).map(|_| silence(&api, "a", SILENCE))).await;
    let done: Vec<_> = all.iter().filter(|(status, ..)| *status == StatusCode::CREATED).collect();
    let fresh = done.iter().filter(|(_, headers, _)| !headers.contains_key("idempotency-replayed")).count();
    assert_eq!((fresh, silences(&api).await), (1, 1));
    assert!(all.iter().all(|(status, ..)| [StatusCode::CREATED, StatusCode::CONFLICT].contains(status)));
}

#[tokio::test]
async fn a_refusal_is_not_kept_nor_is_a_secret_and_a_key_has_bounds() {
    let (api, _) = api_over(Arc::new(MemoryStore::default()), 1).await;
    let headers = [("idempotency-key", "a"), ("if-match", "\"1\"")];
    let body = json!({"limit": 3.0, "reason": "r"});
    let put = || call(&api, "PUT", "/v1/tenants/acme/quotas/cpu_cores", &headers, Some(body.clone()));
    assert_eq!(put().await.0, StatusCode::NOT_FOUND);
    let created =
        call(&api, "POST", "/v1/tenants", &[], Some(json!({"id": "acme", "tier": "PREMIUM"}))).await;
    assert_eq!(created.0, StatusCode::CREATED);
    let (status, _, answer) = put().await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    // The generation has moved on; the kept answer is given all the same.
    let (status, again, _) = put().await;
    assert_eq!((status, &again["idempotency-replayed"]), (StatusCode::OK, &"true".parse().unwrap()));

    let token = Some(json!({"name": "ada", "role": "viewer"}));
    let made = call(&api, "POST", "/v1/tokens", &[("idempotency-key", "t")], token.clone()).await;
    assert_eq!(made.0, StatusCode::CREATED);
    let again = call(&api, "POST", "/v1/tokens", &[("idempotency-key", "t")], token).await;
    assert_eq!(again.0, StatusCode::CONFLICT, "{}", again.2);
    assert!(access::RULES.iter().any(|rule| rule.method == "POST" && access::answers_a_secret(rule.path)));

    let (status, _, answer) = silence(&api, &"k".repeat(256), SILENCE).await;
    assert_eq!((status, silences(&api).await), (StatusCode::BAD_REQUEST, 0), "{answer}");
}

#[tokio::test]
async fn another_version_is_another_request() {
    let (api, _) = api_over(Arc::new(MemoryStore::default()), 1).await;
    let tenant = json!({"id": "acme", "tier": "PREMIUM"});
    assert_eq!(call(&api, "POST", "/v1/tenants", &[], Some(tenant)).await.0, StatusCode::CREATED);
    let put = |seen: &'static str| {
        let headers = [("idempotency-key", "a"), ("if-match", seen)];
        let body = json!({"limit": 3.0, "reason": "r"});
        let api = &api;
        async move { call(api, "PUT", "/v1/tenants/acme/quotas/cpu_cores", &headers, Some(body)).await }
    };
    assert_eq!(put("\"1\"").await.0, StatusCode::OK);
    let (status, _, answer) = put("\"2\"").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let metrics = get(&api, "/metrics").await.2.as_str().unwrap().to_owned();
    for line in [
        "plimsoll_idempotency_keys_total{known=\"new\"} 1",
        "plimsoll_idempotency_keys_total{known=\"other_request\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}
