//! What a step sees, may do and writes.

#[cfg(test)]
mod common;
#[cfg(test)]
mod sees;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_sees_what_it_should() {
    sees::everything(env!("CARGO_BIN_EXE_kitchen-zygote")).await;
}
