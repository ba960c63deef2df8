//! What the server's JetStream says went wrong, by its codes: its words are for people, and change.

use std::error::Error;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{RequestError, RequestErrorKind};

use super::with_sources;
use crate::bus::BusError;

const NOT_AS_IT_SHOULD: &str = "the NATS server's JetStream does not answer as it should";

/// The error and what it comes from.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| <dyn Error>::source(*error))
}

/// What JetStream said, if it was that which said it.
pub(super) fn jetstream_error<'a>(
    error: &'a (dyn Error + 'static),
) -> Option<&'a async_nats::jetstream::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// An answer of JetStream's that no caller has a use for.
pub(super) fn said_by_jetstream(said: &async_nats::jetstream::Error) -> BusError {
    match said.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            BusError::NoJetStream
        }
        ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::STREAM_STORE_FAILED => BusError::LogFull(said.to_string()),
        _ => BusError::Failed { what: NOT_AS_IT_SHOULD, cause: said.to_string() },
    }
}

/// An error of a request to JetStream: it is off, or something else is wrong.
pub(super) fn not_as_it_should(error: &(dyn Error + 'static)) -> BusError {
    if let Some(said) = jetstream_error(error) {
        return said_by_jetstream(said);
    }
    // Where JetStream is off nobody listens to its requests.
    let is_off = |error: &(dyn Error + 'static)| {
        let api = error.downcast_ref::<RequestError>();
        let core = error.downcast_ref::<async_nats::RequestError>();
        api.is_some_and(|error| error.kind() == RequestErrorKind::NoResponders)
            || core.is_some_and(|error| error.kind() == async_nats::RequestErrorKind::NoResponders)
    };
    match chain(error).any(is_off) {
        true => BusError::NoJetStream,
        false => BusError::Failed { what: NOT_AS_IT_SHOULD, cause: with_sources(error) },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_full_or_off_is_said_to_be() {
        let said = |code: u64, words: &str| {
            let error = json!({ "code": 503, "err_code": code, "description": words });
            let error: async_nats::jetstream::Error = serde_json::from_value(error).unwrap();
            let wrapped = RequestError::with_source(RequestErrorKind::Other, error.clone());
            let answers = [said_by_jetstream(&error), not_as_it_should(&wrapped)];
            answers.map(|answer| match answer {
                BusError::NoJetStream => "off",
                BusError::LogFull(_) => "full",
                BusError::Failed { cause, .. } => {
                    assert!(cause.contains(words), "{cause}");
                    "failed"
                }
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(said(10039, "JetStream not enabled for account"), ["off"; 2]);
        assert_eq!(said(10076, "JetStream not enabled"), ["off"; 2]);
        assert_eq!(said(10047, "insufficient storage resources available"), ["full"; 2]);
        assert_eq!(said(10077, "no space left on device"), ["full"; 2]);
        // A cluster without a leader is not off, and its disk is not full.
        assert_eq!(said(10008, "JetStream system temporarily unavailable"), ["failed"; 2]);
        assert_eq!(said(10118, "stream is offline"), ["failed"; 2]);
        assert_eq!(said(10003, "bad request"), ["failed"; 2]);
        let nobody = RequestError::new(RequestErrorKind::NoResponders);
        assert!(matches!(not_as_it_should(&nobody), BusError::NoJetStream));
        let late = RequestError::new(RequestErrorKind::TimedOut);
        assert!(matches!(not_as_it_should(&late), BusError::Failed { .. }));
    }
}
