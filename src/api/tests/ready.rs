//! Whether the daemon can do its work, and if not, why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::domain::{Resource, TimeRange};
use crate::ports::{Fetched, Measured, SourceError};
use crate::series::Frame;
use crate::store::breakable;

const USAGE_WITHOUT: &str = "{job=\"usage\"} has no label \"tenant\"; keep it in the expression";
const SHARE_WITHOUT: &str = "{job=\"share\"} has no label \"tenant\"; keep it in the expression";

/// Leaves all out of its answers: of usage always, of the availability until it
/// is mended.
#[derive(Default)]
struct LeavingOut {
    is_mended: AtomicBool,
}

#[async_trait]
impl UsageSource for LeavingOut {
    fn resources(&self) -> Vec<Resource> {
        vec![Resource::CpuCores]
    }

    fn step(&self) -> Step {
        Step::FIVE_MINUTES
    }

    async fn fetch(&self, resource: Resource, _range: TimeRange) -> Result<Fetched, SourceError> {
        let nothing = Fetched::whole(Frame::empty(resource, self.step()));
        Ok(Fetched { refused: vec![USAGE_WITHOUT.to_owned()], ..nothing })
    }

    fn knows_availability(&self) -> bool {
        true
    }

    async fn availability(&self, _window: Duration, _at: Timestamp) -> Result<Measured, SourceError> {
        let is_mended = self.is_mended.load(Ordering::Relaxed);
        let refused = if is_mended { Vec::new() } else { vec![SHARE_WITHOUT.to_owned()] };
        Ok(Measured { refused, ..Measured::default() })
    }
}

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

#[tokio::test]
async fn series_that_are_left_out_are_told_of_whatever_was_asked_for() {
    let source = Arc::new(LeavingOut::default());
    let mut settings = Settings::default();
    // The clock stands, and yet each cycle asks.
    settings.sla.every = Duration::ZERO;
    let (api, engine) = api_from(source.clone(), Arc::new(MemoryStore::default()), 1, settings).await;
    engine.cycle(&Silent).await.unwrap();
    let of_usage = json!({"asked": "cpu_cores", "resource": "cpu_cores", "reasons": [USAGE_WITHOUT]});
    let of_shares = json!({"asked": "availability", "resource": null, "reasons": [SHARE_WITHOUT]});
    let (_, _, summary) = get(&api, "/v1/summary").await;
    assert_eq!(summary["refused_series"], json!([of_usage, of_shares]), "{summary:#}");
    let line = |what: &str| format!("series of {what} are left out: GET /v1/summary and the log say why\n");
    let ready = format!("plimsoll is ready\n{}", line("the usage of cpu_cores"));
    let (status, _, text) = get(&api, "/-/ready").await;
    assert_eq!((status, text), (StatusCode::OK, json!(format!("{ready}{}", line("the availability")))));

    source.is_mended.store(true, Ordering::Relaxed);
    engine.cycle(&Silent).await.unwrap();
    let (_, _, summary) = get(&api, "/v1/summary").await;
    assert_eq!(summary["refused_series"], json!([of_usage]), "{summary:#}");
    let (status, _, text) = get(&api, "/-/ready").await;
    assert_eq!((status, text), (StatusCode::OK, json!(ready)));
}
