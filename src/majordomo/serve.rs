//! The pod's side of `pod.sock`: a thread that accepts, and two for each client.
//!
//! Only processes of the pod's own user are answered (peer credentials; the socket's mode says so too). A client's
//! going, or its closing of the writing side, cancels what it asked. At most [`MAX_CLIENTS`] are served at a time.

use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use protocol::socket::Greeting;

use super::client::{by_short_path, read_line, write_line};
use super::holder::Host;
use super::request::{Reply, Request};
use super::sink::{Cancel, REPLY_QUEUE, Sink};
use super::{border, service};

/// Clients that are served at a time; another one is told so and let go.
pub const MAX_CLIENTS: usize = 64;
/// Clients that may be told so at a time; beyond that one is let go without a word.
const MAX_TOLD: usize = 16;
/// How long a client may take for its greeting and its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long those that watch may take to go when the pod is interrupted.
const FAREWELL: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Clients {
    count: Mutex<Count>,
    changed: Condvar,
}

#[derive(Default)]
struct Count {
    all: usize,
    /// Those that stay until they are told: they watch, or follow.
    lasting: usize,
}

/// Listens until it is stopped.
pub struct Listener {
    path: PathBuf,
    leaving: Cancel,
    clients: Arc<Clients>,
    stopping: Arc<AtomicBool>,
}

impl Listener {
    /// Starts to listen. The home's lock must be held: a socket that is there belongs to a dead pod.
    pub fn start(path: &Path, host: Host) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = by_short_path(path, |path| UnixListener::bind(path))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let clients = Arc::new(Clients::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let leaving = host.leaving.clone();
        let (theirs, stop) = (Arc::clone(&clients), Arc::clone(&stopping));
        std::thread::Builder::new().name("socket".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                match stream {
                    Ok(stream) => welcome(stream, &host, &theirs),
                    Err(error) => {
                        tracing::warn!(%error, "a client could not be accepted");
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
            }
        })?;
        Ok(Self { path: path.to_owned(), leaving, clients, stopping })
    }

    /// Waits until no client is left; says so first if one is there that waits for an answer. Those that watch are sent away: each
    /// finds another pod, or becomes it.
    pub fn drain(&self, say: &mut dyn FnMut(String)) {
        self.leaving.set();
        let mut count = self.clients.count.lock();
        let asking = count.all - count.lasting;
        if asking > 0 {
            say(format!("this process holds the pod: it stays until {asking} other request(s) are answered"));
        }
        while count.all > 0 {
            self.clients.changed.wait(&mut count);
        }
    }

    /// Sends those away that watch, but does not wait long for it.
    pub fn send_away(&self) {
        self.leaving.set();
        let deadline = Instant::now() + FAREWELL;
        let mut count = self.clients.count.lock();
        while count.lasting > 0 && !self.clients.changed.wait_until(&mut count, deadline).timed_out() {}
    }

    /// Stops to listen.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread, so that it sees that it should stop; if nobody is there to connect to, it has stopped.
        by_short_path(&self.path, |path| UnixStream::connect(path)).ok();
        std::fs::remove_file(&self.path).ok();
    }
}

fn welcome(stream: UnixStream, host: &Host, clients: &Arc<Clients>) {
    let mine = rustix::process::geteuid();
    match rustix::net::sockopt::socket_peercred(&stream) {
        Ok(peer) if peer.uid == mine => {}
        _ => return,
    }
    let is_served = {
        let mut count = clients.count.lock();
        if count.all >= MAX_CLIENTS + MAX_TOLD {
            return;
        }
        count.all += 1;
        count.all <= MAX_CLIENTS
    };
    let mut leave = Leave { clients: Arc::clone(clients), lasts: false };
    let host = is_served.then(|| host.clone());
    let spawned = std::thread::Builder::new().name("client".to_owned()).spawn(move || {
        if let Err(error) = converse(stream, host, &mut leave) {
            tracing::debug!(%error, "a client went");
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "a client cannot be served");
    }
}

/// Counts a client out, however its thread ends.
struct Leave {
    clients: Arc<Clients>,
    /// It watches.
    lasts: bool,
}

impl Leave {
    fn lasts(&mut self) {
        self.lasts = true;
        self.clients.count.lock().lasting += 1;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut count = self.clients.count.lock();
        count.all -= 1;
        count.lasting -= usize::from(self.lasts);
        self.clients.changed.notify_all();
    }
}

/// Without a host it is told that there are too many.
fn converse(mut stream: UnixStream, host: Option<Host>, leave: &mut Leave) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    stream.set_write_timeout(None)?;
    write_line(&mut stream, &Greeting::ours())?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let Some(greeting) = read_line::<Greeting>(&mut lines)? else { return Ok(()) };
    if let Err(why) = greeting.check() {
        return write_line(&mut stream, &Reply::Failed(border::mistake(why)));
    }
    let request = match read_line::<Request>(&mut lines) {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(()),
        Err(error) => {
            let failure = border::mistake(format!("the request cannot be understood: {error}"));
            return write_line(&mut stream, &Reply::Failed(failure));
        }
    };
    stream.set_read_timeout(None)?;
    let Some(host) = host else {
        let failure = border::machine(format!("the pod of this home serves {MAX_CLIENTS} others just now"));
        let failure = failure.hint("ask again later; `watch` and `monitor` stay until they are ended");
        return write_line(&mut stream, &Reply::Failed(failure));
    };
    if matches!(request, Request::Watch { .. } | Request::Monitor { .. }) {
        leave.lasts();
    }
    let cancel = Cancel::default();
    let going = cancel.clone();
    std::thread::Builder::new().name("client-gone".to_owned()).spawn(move || {
        // Nothing more is expected: any end of reading means that the client wants no answer.
        io::copy(&mut lines.by_ref().take(1), &mut io::sink()).ok();
        going.set();
    })?;
    let (sender, replies) = sync_channel(REPLY_QUEUE);
    let runtime = host.pod.runtime().clone();
    runtime.spawn(service::carry_out(host, request, Sink::new(sender), cancel.clone()));
    let mut result = Ok(());
    for reply in replies {
        // After a failed write the rest is read and dropped, so that the request can end.
        if result.is_ok() {
            result = write_line(&mut stream, &reply);
            if result.is_err() {
                cancel.set();
            }
        }
    }
    stream.shutdown(std::net::Shutdown::Both).ok();
    result
}
