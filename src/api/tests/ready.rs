//! Whether the daemon can do its work, and if not, why.

use super::*;
use crate::store::breakable;

#[tokio::test]
async fn readiness_waits_for_the_first_cycle() {
    let (api, engine) = api().await;
    let (status, _, text) = get(&api, "/-/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.as_str().unwrap().contains("the first cycle has not ended"), "{text}");
    engine.cycle(&Silent).await.unwrap();
    assert_eq!(get(&api, "/-/ready").await.0, StatusCode::OK);
    let (_, headers, metrics) = get(&api, "/metrics").await;
    assert!(headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(metrics.as_str().unwrap().contains("plimsoll_cycles_total 1"), "{metrics}");
    let (_, _, assessments) = get(&api, "/v1/tenants/acme/assessments").await;
    assert_eq!(assessments["items"], json!([]), "no resource is measured");
    assert_eq!(get(&api, "/v1/tenants/acme/resources/cpu_cores/forecast").await.0, StatusCode::NOT_FOUND);
    let (_, _, summary) = get(&api, "/v1/summary").await;
    assert_eq!((summary["tenants"].as_u64(), &summary["saving"]), (Some(1), &Value::Null), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_is_told_and_what_it_holds_is_still_served() {
    let folder = tempfile::tempdir().unwrap();
    let (store, break_it) = breakable(folder.path());
    let (api, engine) = api_over(Arc::new(store), 1).await;
    let create = async |id: &str| {
        let (status, _, answer) =
            call(&api, "POST", "/v1/tenants", &[], Some(json!({"id": id, "tier": "PREMIUM"}))).await;
        (status, answer)
    };
    assert_eq!(create("acme").await.0, StatusCode::CREATED);
    engine.cycle(&Silent).await.unwrap();
    let (status, _, text) = get(&api, "/-/ready").await;
    assert_eq!((status, text), (StatusCode::OK, json!("plimsoll is ready\n")));

    break_it();
    let (status, answer) = create("other").await;
    assert!(status.is_server_error(), "{status}: {answer}");
    let (status, _, text) = get(&api, "/-/ready").await;
    let expected = json!("plimsoll is not ready\nthe store fails: input/output error (os error 5)\n");
    assert_eq!((status, text), (StatusCode::SERVICE_UNAVAILABLE, expected));
    assert_eq!(get(&api, "/-/healthy").await.0, StatusCode::OK, "it need not be started again");
    assert_eq!(get(&api, "/v1/tenants/acme").await.0, StatusCode::OK, "reading goes on");
    assert_eq!(get(&api, "/v1/tenants/other").await.0, StatusCode::NOT_FOUND);
}
