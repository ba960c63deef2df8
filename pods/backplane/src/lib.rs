//! The federation: who is in it, its durable log, and small messages over NATS.
