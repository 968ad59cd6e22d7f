//! How old the fleet's rows may be.

use super::*;

/// Who has written sees it, also where others look at the fleet all the time
/// and have it put together while the write is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_shown_the_fleet_from_before_their_own_write() {
    let (api, _) = api().await;
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move {
                loop {
                    get(&api, "/v1/fleet").await;
                    // A connection would let others run between two requests.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for number in 2..60 {
        let tenant = json!({"id": format!("tenant-{number}"), "tier": "FREE"});
        let (status, _, made) = call(&api, "POST", "/v1/tenants", &[], Some(tenant)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let (_, _, page) = get(&api, "/v1/fleet").await;
        assert_eq!(page["totals"]["tenants"], number, "what was made is missing");
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
}
