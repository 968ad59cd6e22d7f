//! Receivers that several people look after.

use super::*;

#[tokio::test]
async fn a_receiver_that_somebody_else_has_changed_is_left_alone() {
    let (api, _) = api().await;
    let settings = |kind: &str| Some(json!({"kind": kind, "url": "http://127.0.0.1:1/"}));
    let path = "/v1/receivers/pager";
    let stale = [("if-match", "\"7\"")];
    assert_eq!(call(&api, "PUT", path, &stale, settings("slack")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call(&api, "PUT", path, &[], settings("slack")).await.0, StatusCode::CREATED);
    let (_, headers, _) = get(&api, path).await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let seen = [("if-match", tag.as_str())];
    assert_eq!(call(&api, "PUT", path, &stale, settings("cloudevents")).await.0, 412);
    assert_eq!(call(&api, "PUT", path, &seen, settings("cloudevents")).await.0, StatusCode::OK);
    // What was seen then has moved on by now.
    for method in ["PUT", "DELETE"] {
        let body = (method == "PUT").then(|| settings("slack")).flatten();
        let (status, _, problem) = call(&api, method, path, &seen, body).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("look at it again"), "{problem}");
    }
    let (_, headers, receiver) = get(&api, path).await;
    assert_eq!(receiver["kind"], "cloudevents");
    let fresh = [("if-match", headers["etag"].to_str().unwrap())];
    assert_eq!(call(&api, "DELETE", path, &fresh, None).await.0, StatusCode::NO_CONTENT);
}
