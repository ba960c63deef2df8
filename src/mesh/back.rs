//! Coming back: whether another process speaks as this pod already, and whether the federation still counts it in.
//!
//! Errors are mistakes of whoever starts it. While the server is away nobody can say either: then the pod stands, and hears of it later.

use std::time::Duration;

use backplane::Mesh;
use backplane::bus::Connection;
use backplane::federation::{JoinError, JoinOptions, Welcome, join};
use backplane::mesh::AskError;
use protocol::mesh::{Invitation, Standing};
use serde_json::Value;

use super::expelled::banned;
use super::join::READING;
use crate::majordomo::border::mistake;
use crate::majordomo::request::Failure;

/// How long is waited for the server when a pod comes back.
const SERVER: Duration = Duration::from_secs(1);
/// How long a copy of this pod has to answer.
const COPY: Duration = Duration::from_secs(1);
/// What a copy is asked about: no pod knows of it, and each says so.
const NOTHING: &str = "nothing";

async fn is_up(mesh: &Mesh) -> bool {
    let mut connection = mesh.bus().connection();
    let up = connection.wait_for(|connection| *connection == Connection::Up);
    matches!(tokio::time::timeout(SERVER, up).await, Ok(Ok(_)))
}

/// Before this pod listens: fails if somebody answers as it.
pub(super) async fn is_alone(mesh: &Mesh) -> Result<(), Failure> {
    if !is_up(mesh).await {
        return Ok(());
    }
    match mesh.ask::<_, Value>(&mesh.pod(), NOTHING, &(), COPY).await {
        Ok(_) | Err(AskError::Refused(_)) => {
            Err(mistake(format!("another process speaks as this pod, {}", mesh.pod())).hint(
                "is this home a copy of another one, or that one of this? end the other pod, or join with a home of its own: `--home DIR`",
            ))
        }
        Err(_) => Ok(()),
    }
}

/// Fails if this pod belongs to the federation no more, and its invitation does not change that. How it comes in again, if that does.
pub(super) async fn is_in(
    mesh: &Mesh,
    (invitation, options): (Option<&Invitation>, &JoinOptions),
) -> Result<Option<Welcome>, BackError> {
    let mut status = mesh.ledger().status();
    let read = status.wait_for(|status| status.caught_up);
    if !is_up(mesh).await || !matches!(tokio::time::timeout(READING, read).await, Ok(Ok(_))) {
        return Ok(None);
    }
    let federation = mesh.federation();
    match (mesh.members().standing(&mesh.pod()), invitation) {
        (None | Some(Standing::Member), _) => Ok(None),
        (Some(Standing::Banned), _) => Err(BackError::Out(banned(federation.id))),
        (Some(Standing::Left), Some(invitation)) => {
            let let_in = join(&**mesh.bus(), &federation.identity, invitation, options).await;
            Ok(Some(let_in?))
        }
        (Some(Standing::Left), None) => Err(BackError::Out(
            mistake(format!("this pod does not belong to the federation {} any more", federation.id)).hint(
                "`--invite` takes it in again: `pod invite` at a pod of the federation prints an invitation",
            ),
        )),
    }
}

/// Why a pod does not come back.
#[derive(Debug)]
pub(super) enum BackError {
    /// The federation does not count it in.
    Out(Failure),
    /// It is not let in again.
    Join(JoinError),
}

impl From<JoinError> for BackError {
    fn from(error: JoinError) -> Self {
        Self::Join(error)
    }
}
