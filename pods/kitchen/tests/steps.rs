//! What a step sees and how it ends.

#[cfg(test)]
mod common;

use common::{Fixture, command, sh};
use kitchen::HowEnded;

const ZYGOTE: &str = env!("CARGO_BIN_EXE_kitchen-zygote");

async fn fixture() -> Fixture {
    Fixture::start(ZYGOTE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs() {
    let fixture = fixture().await;
    assert_eq!(
        fixture.output("echo hi; id -u; id -g; hostname; umask; pwd").await,
        "hi\n1000\n1000\nkitchen\n0022\n/project"
    );
    let (ended, _) = fixture.sh("exit 7").await;
    assert_eq!(ended.how, HowEnded::Exit(7));
    let (ended, _) = fixture.run(command(&["no-such-program"])).await;
    assert_eq!(ended.how, HowEnded::NotFound { command: b"no-such-program".to_vec() });
    let (ended, _) = fixture.run(sh("kill -SEGV $$")).await;
    assert_eq!(ended.how, HowEnded::Signal(11));
    fixture.kitchen.settled().await;
}
