//! What is said: judged before it is appended, never passed off as the last word, never the end of a subject.

use super::*;
use crate::bus::{Answers, BusError, Connection, Follow, Record, ReplyTo, Subscription};

struct Always(Judgement);

impl Policy for Always {
    fn judge(&self, _: &Entry) -> Judgement {
        self.0
    }

    fn alive(&self) -> Vec<PodId> {
        Vec::new()
    }

    fn outcasts(&self) -> Vec<PodId> {
        Vec::new()
    }
}

#[tokio::test]
async fn what_may_not_be_said_is_not_appended() {
    let server = MemoryServer::new();
    for judgement in [Judgement::Refuse, Judgement::Wait] {
        let pod = idle(&server);
        pod.ledger.set_policy(Arc::new(Always(judgement)));
        let said = pod.ledger.say("log.x", json!(1)).await.unwrap_err();
        let changed = pod.ledger.change("log.x", |_| Ok(json!(1))).await.unwrap_err();
        for error in [said, changed] {
            // Who is not known to be a member yet may be one soon; who may not say it will never be let.
            assert_eq!(error.may_pass(), judgement == Judgement::Wait, "{error}");
        }
        assert_eq!(pod.bus.last("log.x").await.unwrap(), None, "{judgement:?}");
    }
}

type Act = Box<dyn FnOnce() + Send>;

/// A bus on which something happens between an append and its answer.
struct Meanwhile(Arc<MemoryBus>, Mutex<Option<Act>>);

impl Bus for Meanwhile {
    fn publish<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>> {
        self.0.publish(subject, payload)
    }
    fn respond<'a>(&'a self, to: &'a ReplyTo, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>> {
        self.0.respond(to, payload)
    }
    fn subscribe<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<Subscription, BusError>> {
        self.0.subscribe(pattern)
    }
    fn request<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, BusError>> {
        self.0.request(subject, payload, deadline)
    }
    fn ask_all<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Answers, BusError>> {
        self.0.ask_all(subject, payload)
    }
    fn log(&self) -> BoxFuture<'_, Result<Incarnation, BusError>> {
        self.0.log()
    }
    fn append<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Position, BusError>> {
        async move {
            let appended = self.0.append(subject, payload, expect).await;
            if let Some(act) = self.1.lock().take() {
                act();
            }
            appended
        }
        .boxed()
    }
    fn last<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<Record>, BusError>> {
        self.0.last(subject)
    }
    fn follow(&self, after: Option<Position>) -> Follow {
        self.0.follow(after)
    }
    fn connection(&self) -> watch::Receiver<Connection> {
        self.0.connection()
    }
}

#[tokio::test]
async fn a_later_word_that_comes_meanwhile_is_decided_upon_again() {
    let server = MemoryServer::new();
    for says in [true, false] {
        let bus = Arc::new(Meanwhile(Arc::new(server.connect()), Mutex::default()));
        let ledger = Ledger::open(parts(bus.clone()), None).unwrap();
        let epoch = Epoch { incarnation: bus.log().await.unwrap(), revision: 5 };
        let (name, later) = (format!("log.{says}"), word(&format!("log.{says}"), epoch, 10));
        let offering = ledger.clone();
        *bus.1.lock() = Some(Box::new(move || {
            assert_eq!(offering.offer(&later.subject, &later.signed).unwrap(), Taken::New);
        }));
        let entry = match says {
            true => ledger.say(&name, json!(11)).await.unwrap(),
            false => {
                let sum = |known: Option<&Entry>| {
                    known.and_then(|known| known.body.as_i64()).unwrap_or_default() + 1
                };
                ledger.change(&name, |known| Ok(json!(sum(known)))).await.unwrap()
            }
        };
        assert_eq!((entry.epoch.revision, &entry.body), (6, &json!(11)));
        assert_eq!(ledger.get(&name).unwrap(), Some(entry));
    }
}

#[tokio::test]
async fn nobody_ends_a_subject_by_a_number() {
    let server = MemoryServer::new();
    let pod = idle(&server);
    let incarnation = pod.bus.log().await.unwrap();
    for revision in [u64::MAX, u64::MAX - 1, MAX_LEAP + 1] {
        let leap = word("log.x", Epoch { incarnation, revision }, 1);
        assert_eq!(pod.ledger.offer("log.x", &leap.signed).unwrap(), Taken::Refused, "{revision}");
    }
    // Who was away for long sees great steps all the same.
    let step = word("log.x", Epoch { incarnation, revision: MAX_LEAP }, 1);
    assert_eq!(pod.ledger.offer("log.x", &step.signed).unwrap(), Taken::New);
    assert_eq!(pod.ledger.say("log.x", json!(2)).await.unwrap().epoch.revision, MAX_LEAP + 1);
}

#[tokio::test]
async fn whoever_insists_waits_for_the_server_and_for_nothing_that_never_comes() {
    let server = MemoryServer::new();
    let pod = idle(&server);
    pod.bus.disconnect();
    let mut insisting = Box::pin(pod.ledger.insist("log.x", json!(1)));
    assert!(futures::poll!(&mut insisting).is_pending());
    pod.bus.reconnect();
    let said = tokio::time::timeout(PATIENCE, insisting).await.expect("it waits for ever");
    assert_eq!(said.unwrap().body, json!(1));
    let long = json!("x".repeat(crate::bus::MAX_RECORD));
    let never = tokio::time::timeout(PATIENCE, pod.ledger.insist("log.x", long)).await;
    let never = never.expect("it tries for ever").unwrap_err();
    assert!(matches!(never, ChangeError::Bus(BusError::TooLarge { .. })), "{never}");
}
