//! All that is kept, state and history, as one: copied and looked through.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::ApiState;
use super::problem::Problem;
use crate::ports::{Keeper, StoreCheck, StoreError};

/// Bytes of a piece of a backup.
const PIECE: usize = 256 << 10;
/// Pieces that wait for a slow caller.
const PIECES: usize = 4;

/// Take a backup of state and history as they are at one moment, as a tar
/// archive. Others write on meanwhile. It holds secrets: hashes of tokens and
/// the secrets of receivers. `plimsoll store backup --live` verifies what it got.
#[utoipa::path(get, path = "/v1/store/backup", tag = "operations", security(("token" = [])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/x-tar"),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "A backup or a check is under way, or all is kept in memory"),
    ))]
pub async fn back_up(State(state): State<ApiState>) -> Result<Response, Problem> {
    let keeper = keeper(&state)?;
    let (pieces, mut sent) = channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let failed = pieces.clone();
        let mut out = BufWriter::with_capacity(PIECE, Pieces(pieces));
        if let Err(error) = keeper.back_up(&mut out) {
            // What was sent has no end then, which its reader notices.
            tracing::warn!("failed to back up: {error}");
            failed.blocking_send(Err(error)).ok();
        }
    });
    let first = match sent.recv().await {
        Some(Ok(piece)) => piece,
        Some(Err(error)) => return Err(problem(&error)),
        None => return Err(problem(&StoreError::Closed)),
    };
    let body = Body::from_stream(futures::stream::unfold((Some(first), sent), next));
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], body).into_response())
}

type Rest = (Option<Vec<u8>>, Receiver<Result<Vec<u8>, StoreError>>);

async fn next((first, mut sent): Rest) -> Option<(io::Result<Vec<u8>>, Rest)> {
    let piece = match first {
        Some(first) => Ok(first),
        None => sent.recv().await?.map_err(io::Error::other),
    };
    Some((piece, (None, sent)))
}

/// Read all of state and history, and hold it against what guards it.
#[utoipa::path(get, path = "/v1/store/check", tag = "operations", security(("token" = [])),
    responses(
        (status = 200, body = StoreCheck),
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "A backup or a check is under way, or all is kept in memory"),
    ))]
pub async fn check(State(state): State<ApiState>) -> Result<Json<StoreCheck>, Problem> {
    let keeper = keeper(&state)?;
    let checked = tokio::task::spawn_blocking(move || keeper.check()).await;
    let checked = checked.map_err(|_| problem(&StoreError::Closed))?;
    checked.map(Json).map_err(|error| problem(&error))
}

fn keeper(state: &ApiState) -> Result<Arc<dyn Keeper>, Problem> {
    let in_memory = || Problem::new(StatusCode::CONFLICT, "all is kept in memory; there is nothing to read");
    state.keeper.clone().ok_or_else(in_memory)
}

fn problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Busy => Problem::new(StatusCode::CONFLICT, format!("can't {error}")),
        other => Problem::internal(other),
    }
}

/// Hands pieces over to whoever sends them.
struct Pieces(Sender<Result<Vec<u8>, StoreError>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the caller went away");
        self.0.blocking_send(Ok(bytes.to_vec())).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
