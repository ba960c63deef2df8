"""The wire: frames of a header (JSON) and a body (bytes). The protocol's page is `protocol/src/calls.rs`."""

import json
import struct

HEAD = struct.Struct("<IQ")
MAX_HEADER = 64 << 10
MAX_BODY = 256 << 20


def head(header, body=b""):
    """What goes before a body."""
    header = json.dumps(header, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER:
        raise ValueError("names and variables of a call are too long")
    return HEAD.pack(len(header), len(body)) + header


def send(sock, header, body=b""):
    """Sends one frame."""
    sock.sendall(head(header, body))
    if body:
        sock.sendall(body)


def exactly(sock, length):
    """So many bytes; `None` if the other side has gone."""
    got = bytearray(length)
    rest = memoryview(got)
    while rest:
        count = sock.recv_into(rest)
        if not count:
            return None
        rest = rest[count:]
    return got


def receive(sock):
    """One frame: header and body; `None` if the other side has gone."""
    head = exactly(sock, HEAD.size)
    if head is None:
        return None
    header, body = HEAD.unpack(head)
    if header > MAX_HEADER or body > MAX_BODY:
        raise ValueError("a frame that is too long")
    header, body = exactly(sock, header), exactly(sock, body)
    if header is None or body is None:
        return None
    return json.loads(header.decode()), body
