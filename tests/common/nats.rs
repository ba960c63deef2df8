//! A NATS server that can be ended, comes back where it was, and may have lost all that it had stored.

use std::fs;
use std::path::Path;

use backplane::server::{Server, ServerOptions};

/// A server, there or not.
pub struct Nats {
    options: ServerOptions,
    url: String,
    server: Option<Server>,
}

impl Nats {
    /// Starts the one of this machine, at any free port.
    pub fn new(folder: &Path) -> Self {
        Self::of(ServerOptions::installed(folder).unwrap())
    }

    /// Starts one.
    pub fn of(mut options: ServerOptions) -> Self {
        let server = Server::start(&options).unwrap();
        options.port = Some(server.port());
        Self { options, url: server.url().to_owned(), server: Some(server) }
    }

    /// Where it is, also while it is not there.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// It is killed.
    pub fn stops(&mut self) {
        self.server = None;
    }

    /// It is back, with all that it had.
    pub fn comes_back(&mut self) {
        self.server = Some(Server::start(&self.options).unwrap());
    }

    /// It is back, and its disk is empty.
    pub fn comes_back_empty(&mut self) {
        self.stops();
        fs::remove_dir_all(self.options.folder.join("store")).unwrap();
        self.comes_back();
    }
}
