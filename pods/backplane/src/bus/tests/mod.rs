//! The laws of a bus, each run on the twin and on every nats-server that there is.

mod laws;
mod login;
mod real;
mod subjects;
