//! The laws.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;

use super::subjects::{Nats, PATIENCE, Subject, until};
use crate::bus::memory::MemoryServer;
use crate::bus::{Bus, BusError, Connection, Expect, Follow, Followed, MAX_MESSAGE, MAX_RECORD, Record};
use crate::testing::nats_servers;

macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod twin {
            use super::*;
            $(#[tokio::test]
            async fn $law() {
                super::$law(&Subject::Memory(MemoryServer::new())).await;
            })*
        }
        mod nats {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                for program in nats_servers() {
                    super::$law(&Subject::Nats(Nats::start(&program))).await;
                }
            })*
        }
    };
}

laws! {
    messages_go_to_all_who_listen,
    a_request_is_answered_or_says_why_not,
    what_is_no_subject_or_too_long_is_refused,
    the_log_keeps_the_last_of_each_subject,
    of_rivals_one_succeeds,
    of_many_who_make_the_log_one_does,
    a_follower_sees_all_and_is_told_when_it_is_up_to_date,
    a_follower_goes_on_where_it_was,
    the_server_goes_and_comes_back,
    a_lost_log_is_made_anew_and_fenced,
    a_log_that_lost_its_end_is_made_anew,
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn next(follow: &mut Follow) -> Followed {
    tokio::time::timeout(PATIENCE, follow.next()).await.expect("nothing is told").expect("it ended")
}

/// The records up to the next moment of being up to date.
async fn until_caught_up(follow: &mut Follow) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        match next(follow).await {
            Followed::Record(record) => records.push(record),
            Followed::CaughtUp(_) => return records,
            Followed::Incarnation(_) | Followed::Interrupted(_) => {}
        }
    }
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|r| format!("{}={}", r.subject, String::from_utf8_lossy(&r.payload))).collect()
}

async fn messages_go_to_all_who_listen(subject: &Subject) {
    let (a, b) = (subject.connect().await, subject.connect().await);
    let mut all = b.subscribe("beat.>").await.unwrap();
    let mut own = a.subscribe("beat.*").await.unwrap();
    a.publish("other.x", bytes("0")).await.unwrap();
    for n in 1..=3 {
        a.publish("beat.x", bytes(&n.to_string())).await.unwrap();
    }
    for heard in [&mut all, &mut own] {
        for n in 1..=3 {
            let message = tokio::time::timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
            assert_eq!((message.subject.as_str(), message.payload), ("beat.x", bytes(&n.to_string())));
            assert_eq!(message.reply, None);
        }
    }
}

async fn a_request_is_answered_or_says_why_not(subject: &Subject) {
    let (a, b) = (subject.connect().await, subject.connect().await);
    let nobody = a.request("ask.b", bytes("?"), PATIENCE).await;
    assert!(matches!(nobody, Err(BusError::Nobody(_))), "{nobody:?}");
    let mut asked = b.subscribe("ask.b").await.unwrap();
    let answer = async {
        let message = asked.next().await.unwrap();
        b.respond(&message.reply.unwrap(), bytes("!")).await.unwrap();
    };
    let (answered, ()) = tokio::join!(a.request("ask.b", bytes("?"), PATIENCE), answer);
    assert_eq!(answered.unwrap(), bytes("!"));
    // Of all who are asked all are heard, one after the other; and of nobody nobody.
    let mut also_asked = a.subscribe("ask.b").await.unwrap();
    let mut answers = a.ask_all("ask.b", bytes("?")).await.unwrap();
    for (bus, asked, said) in [(&b, &mut asked, "1"), (&a, &mut also_asked, "2")] {
        let message = asked.next().await.unwrap();
        bus.respond(&message.reply.unwrap(), bytes(said)).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, answers.next()).await;
        assert_eq!(answer.unwrap(), Some(bytes(said)));
    }
    let mut nobody = a.ask_all("ask.c", bytes("?")).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, nobody.next()).await.unwrap(), None);
    drop(also_asked);
    let late = a.request("ask.b", bytes("?"), Duration::from_millis(50)).await;
    assert!(matches!(late, Err(BusError::Late { .. })), "{late:?}");
}

async fn what_is_no_subject_or_too_long_is_refused(subject: &Subject) {
    let bus = subject.connect().await;
    assert!(matches!(bus.publish("a b", Bytes::new()).await, Err(BusError::BadSubject(_))));
    assert!(matches!(bus.subscribe("a.>.b").await, Err(BusError::BadSubject(_))));
    assert!(matches!(
        bus.append("beat.x", Bytes::new(), Expect::Anything).await,
        Err(BusError::BadSubject(_))
    ));
    let long = Bytes::from(vec![0; MAX_MESSAGE + 1]);
    assert!(matches!(bus.publish("a", long.clone()).await, Err(BusError::TooLarge { .. })));
    assert!(matches!(bus.append("log.a", long, Expect::Anything).await, Err(BusError::TooLarge { .. })));
    let mut heard = bus.subscribe("a").await.unwrap();
    bus.publish("a", Bytes::from(vec![7; MAX_MESSAGE])).await.unwrap();
    assert_eq!(
        tokio::time::timeout(PATIENCE, heard.next()).await.unwrap().unwrap().payload.len(),
        MAX_MESSAGE
    );
    bus.append("log.a", Bytes::from(vec![7; MAX_RECORD]), Expect::Anything).await.unwrap();
    assert_eq!(bus.last("log.a").await.unwrap().unwrap().payload.len(), MAX_RECORD);
}

async fn the_log_keeps_the_last_of_each_subject(subject: &Subject) {
    let bus = subject.connect().await;
    assert_eq!(bus.last("log.x").await.unwrap(), None);
    let first = bus.append("log.x", bytes("1"), Expect::Anything).await.unwrap();
    let other = bus.append("log.y", bytes("2"), Expect::Anything).await.unwrap();
    let second = bus.append("log.x", bytes("3"), Expect::Anything).await.unwrap();
    assert!(first < other && other < second, "{first} {other} {second}");
    assert_eq!(first.incarnation, bus.log().await.unwrap());
    let other_bus = subject.connect().await;
    let last = other_bus.last("log.x").await.unwrap().unwrap();
    assert_eq!((last.position, last.payload), (second, bytes("3")));
    assert_eq!(texts(&until_caught_up(&mut other_bus.follow(None)).await), ["log.y=2", "log.x=3"]);
}

async fn of_rivals_one_succeeds(subject: &Subject) {
    let buses = join_all((0..4).map(|_| subject.connect())).await;
    let incarnation = buses[0].log().await.unwrap();
    let mut expect = Expect::Nothing(incarnation);
    for round in 0..20 {
        let attempts = buses.iter().enumerate().map(|(n, bus)| {
            let claim = bytes(&format!("{round} by {n}"));
            async move { bus.append("log.owner", claim, expect).await }
        });
        let mut positions = Vec::new();
        for outcome in join_all(attempts).await {
            match outcome {
                Ok(position) => positions.push(position),
                Err(BusError::Conflict(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(positions.len(), 1, "round {round}");
        expect = Expect::At(positions[0]);
    }
    let late = buses[0].append("log.owner", bytes("late"), Expect::Nothing(incarnation)).await;
    assert!(matches!(late, Err(BusError::Conflict(_))), "{late:?}");
}

async fn of_many_who_make_the_log_one_does(subject: &Subject) {
    let buses = join_all((0..8).map(|_| subject.connect())).await;
    // Servers have been seen to make two at once; then one of them is gone again by the second look.
    join_all(buses.iter().map(|bus| async move { bus.log().await.unwrap() })).await;
    let logs = join_all(buses.iter().map(|bus| async move { bus.log().await.unwrap() })).await;
    assert!(logs.iter().all(|log| *log == logs[0]), "{logs:?}");
    let appends = buses.iter().enumerate().map(|(n, bus)| async move {
        let name = format!("log.by.{n}");
        bus.append(&name, Bytes::new(), Expect::Nothing(logs_of(bus).await)).await.unwrap()
    });
    let mut sequences: Vec<u64> = join_all(appends).await.iter().map(|position| position.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7, 8], "each is answered by the log that has it");
}

async fn logs_of(bus: &Arc<dyn Bus>) -> crate::bus::Incarnation {
    bus.log().await.unwrap()
}

async fn a_follower_sees_all_and_is_told_when_it_is_up_to_date(subject: &Subject) {
    let bus = subject.connect().await;
    let incarnation = bus.log().await.unwrap();
    let mut follow = bus.follow(None);
    assert_eq!(next(&mut follow).await, Followed::Incarnation(incarnation));
    assert!(matches!(next(&mut follow).await, Followed::CaughtUp(at) if at.sequence == 0));
    for n in 0..300 {
        bus.append(&format!("log.x.{n}"), bytes("v"), Expect::Anything).await.unwrap();
    }
    for n in 1..=300 {
        match next(&mut follow).await {
            Followed::Record(record) => assert_eq!(record.position.sequence, n),
            other => panic!("{other:?}"),
        }
    }
    let late = subject.connect().await;
    let mut follow = late.follow(None);
    assert_eq!(next(&mut follow).await, Followed::Incarnation(incarnation));
    assert_eq!(until_caught_up(&mut follow).await.len(), 300);
}

async fn a_follower_goes_on_where_it_was(subject: &Subject) {
    let bus = subject.connect().await;
    bus.append("log.a", bytes("1"), Expect::Anything).await.unwrap();
    let at = bus.append("log.b", bytes("2"), Expect::Anything).await.unwrap();
    bus.append("log.a", bytes("3"), Expect::Anything).await.unwrap();
    bus.append("log.c", bytes("4"), Expect::Anything).await.unwrap();
    let follower = subject.connect().await;
    assert_eq!(texts(&until_caught_up(&mut follower.follow(Some(at))).await), ["log.a=3", "log.c=4"]);
    let end = follower.last("log.c").await.unwrap().unwrap().position;
    assert!(until_caught_up(&mut follower.follow(Some(end))).await.is_empty());
}

async fn the_server_goes_and_comes_back(subject: &Subject) {
    let bus = subject.connect().await;
    bus.append("log.a", bytes("1"), Expect::Anything).await.unwrap();
    let mut follow = bus.follow(None);
    assert_eq!(texts(&until_caught_up(&mut follow).await), ["log.a=1"]);
    let mut heard = bus.subscribe("beat").await.unwrap();
    subject.stop();
    until(bus.as_ref(), |state| matches!(state, Connection::Down(_))).await;
    assert!(matches!(next(&mut follow).await, Followed::Interrupted(_)));
    assert!(matches!(bus.publish("beat", bytes("lost")).await, Err(BusError::Offline(_))));
    let append = bus.append("log.a", bytes("lost"), Expect::Anything).await;
    assert!(matches!(append, Err(BusError::Offline(_))), "{append:?}");
    subject.start();
    until(bus.as_ref(), |state| *state == Connection::Up).await;
    let other = subject.connect().await;
    other.append("log.b", bytes("2"), Expect::Anything).await.unwrap();
    let mut records = Vec::new();
    while records.is_empty() {
        records = until_caught_up(&mut follow).await;
        if records.is_empty()
            && let Followed::Record(record) = next(&mut follow).await
        {
            records.push(record);
        }
    }
    assert_eq!(texts(&records), ["log.b=2"]);
    // It may be connected before its subscriptions are known to the server again.
    let heard = tokio::time::timeout(PATIENCE, async {
        loop {
            other.publish("beat", bytes("back")).await.unwrap();
            if let Ok(message) = tokio::time::timeout(Duration::from_millis(100), heard.next()).await {
                return message.unwrap();
            }
        }
    });
    assert_eq!(heard.await.unwrap().payload, bytes("back"));
}

async fn a_lost_log_is_made_anew_and_fenced(subject: &Subject) {
    let bus = subject.connect().await;
    let old = bus.append("log.a", bytes("1"), Expect::Anything).await.unwrap();
    let mut follow = bus.follow(None);
    assert_eq!(next(&mut follow).await, Followed::Incarnation(old.incarnation));
    until_caught_up(&mut follow).await;
    subject.lose_log();
    until(bus.as_ref(), |state| *state == Connection::Up).await;
    let new = loop {
        match next(&mut follow).await {
            Followed::Incarnation(new) => break new,
            Followed::Interrupted(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(new > old.incarnation);
    assert!(matches!(next(&mut follow).await, Followed::CaughtUp(at) if at.sequence == 0));
    for expect in [Expect::At(old), Expect::Nothing(old.incarnation)] {
        let fenced = bus.append("log.a", bytes("late"), expect).await;
        assert!(matches!(fenced, Err(BusError::OtherIncarnation { .. })), "{fenced:?}");
    }
    assert_eq!(bus.last("log.a").await.unwrap(), None);
    let again = bus.append("log.a", bytes("1"), Expect::Nothing(new)).await.unwrap();
    assert!(again > old);
}

async fn a_log_that_lost_its_end_is_made_anew(subject: &Subject) {
    let bus = subject.connect().await;
    let first = bus.append("log.a", bytes("1"), Expect::Anything).await.unwrap();
    let mut follow = None;
    subject
        .roll_back_over(async {
            until(bus.as_ref(), |state| *state == Connection::Up).await;
            let appended = retried(&bus).await;
            let mut following = bus.follow(None);
            assert_eq!(texts(&until_caught_up(&mut following).await), ["log.a=1", "log.b=2"]);
            follow = Some(following);
            appended
        })
        .await;
    let mut follow = follow.unwrap();
    let new = loop {
        match next(&mut follow).await {
            Followed::Incarnation(new) if new != first.incarnation => break new,
            Followed::Interrupted(_) | Followed::Incarnation(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(new > first.incarnation);
}

/// One append, which may come while the bus is not yet aware that its server was restarted.
async fn retried(bus: &Arc<dyn Bus>) -> u64 {
    loop {
        match bus.append("log.b", bytes("2"), Expect::Anything).await {
            Ok(_) => return 1,
            Err(BusError::Offline(_) | BusError::Unknown { .. }) => {
                until(bus.as_ref(), |state| *state == Connection::Up).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}
