//! The references: a file through a TCP connection into a file, and the same from memory into nothing; nothing checked.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use crate::{Cost, measure};

const BUFFER: usize = 1 << 20;

pub fn source(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("plain");
    std::fs::write(&path, bytes).expect("written");
    path
}

fn pump(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).expect("read");
        if count == 0 {
            return;
        }
        to.write_all(&buffer[..count]).expect("written");
    }
}

pub async fn copy(folder: &Path, file: &Path) -> Cost {
    let to = tempfile::tempdir_in(folder).expect("a folder");
    let target = to.path().join("copy");
    let from = file.to_owned();
    measure(async move {
        let copy = move || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
            let address = listener.local_addr().expect("an address");
            let sender = std::thread::spawn(move || {
                pump(File::open(from).expect("opened"), TcpStream::connect(address).expect("connected"));
            });
            pump(listener.accept().expect("accepted").0, File::create(target).expect("created"));
            sender.join().expect("joined");
        };
        tokio::task::spawn_blocking(copy).await.expect("copied");
    })
    .await
}

/// From memory through a TCP connection, and away.
pub async fn stream(size: usize) -> Cost {
    measure(async move {
        let stream = move || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
            let address = listener.local_addr().expect("an address");
            let sender = std::thread::spawn(move || {
                let zeroes = std::io::repeat(0).take(size as u64);
                pump(zeroes, TcpStream::connect(address).expect("connected"));
            });
            pump(listener.accept().expect("accepted").0, std::io::sink());
            sender.join().expect("joined");
        };
        tokio::task::spawn_blocking(stream).await.expect("streamed");
    })
    .await
}
