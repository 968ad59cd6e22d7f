//! A plain handler that sends constant bytes, the ceiling beside which
//! benches/poll.sh measures polled quotas: `poll ADDRESS BODY_FILE`.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let (Some(address), Some(file)) = (arguments.next(), arguments.next()) else {
        return Ok(()); // Run by itself it measures nothing; benches/poll.sh does.
    };
    let body = Bytes::from(std::fs::read(file)?);
    let routes =
        Router::new().route("/", get(move || async move { ([(CONTENT_TYPE, "application/json")], body) }));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async { axum::serve(tokio::net::TcpListener::bind(address).await?, routes).await })?;
    Ok(())
}
