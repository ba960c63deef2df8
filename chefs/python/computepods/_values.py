"""Values that travel: a letter that says how, then the bytes; never longer than may travel.

Plain ones – numbers, texts, and flat tuples of them – are marshalled: the kitchen then loads nothing for them, while pickle loads a dozen
modules, which costs as much as a whole small call. All others are pickled, by the standard library if it can, else by cloudpickle if that is there.
"""

import marshal

# `MAX_BODY` of the protocol.
MOST = 256 << 20
PICKLE_PROTOCOL = 5
# Version 2 has no references, whose flags depend on chance: equal values have equal bytes.
MARSHAL_VERSION = 2

MARSHALLED, PICKLED = b"M", b"P"
SCALARS = (type(None), bool, int, float, complex, str, bytes)
# What is long is not copied once more to be marshalled.
PLAIN = 4096


def is_plain(value):
    """Whether it comes out of marshal as it went in, and is short."""
    kind = type(value)
    if kind is tuple:
        return len(value) <= PLAIN and all(type(part) is not tuple and is_plain(part) for part in value)
    return kind in SCALARS and (kind not in (str, bytes) or len(value) <= PLAIN)


class Bounded:
    """A file for a pickler that refuses to become longer than may travel."""

    def __init__(self, write, what):
        self.inner, self.what, self.length = write, what, 0

    def write(self, part):
        self.length += memoryview(part).nbytes
        if self.length > MOST:
            from ._errors import TooLarge

            raise TooLarge(f"{self.what} is longer than {MOST >> 20} MiB, which is the most that can travel")
        return self.inner(part)


def dump(value, write, what, pickler=None):
    """Writes a value by `write`; `what` it is goes into errors."""
    if pickler is None:
        if is_plain(value):
            write(MARSHALLED + marshal.dumps(value, MARSHAL_VERSION))
            return
        from _pickle import Pickler as pickler
    from ._errors import NotPicklable, TooLarge

    bounded = Bounded(write, what)
    try:
        bounded.write(PICKLED)
        pickler(bounded, PICKLE_PROTOCOL).dump(value)
    except TooLarge:
        raise
    except Exception as error:
        raise NotPicklable(f"{what} does not pickle: {type(error).__name__}: {error}") from error


def dumps(value, what, pickler=None):
    """The bytes of a value."""
    parts = []
    dump(value, lambda part: parts.append(bytes(part)), what, pickler)
    return b"".join(parts)


def dumps_anyhow(value, what):
    """The bytes of a value, with all functions and classes in it that cannot be imported if cloudpickle is there."""
    from ._errors import NotPicklable

    try:
        return dumps(value, what)
    except NotPicklable as error:
        pickled = by_value(value, what)
        if pickled is None:
            raise error
        return pickled


def by_value(value, what):
    """The same for a value of which it is known that only cloudpickle can; `None` without cloudpickle."""
    try:
        from cloudpickle import CloudPickler
    except ImportError:
        return None
    return dumps(value, what, CloudPickler)


def loads(data):
    """The value of such bytes."""
    body = memoryview(data)[1:]
    if data[:1] == MARSHALLED:
        return marshal.loads(body)
    from _pickle import loads

    return loads(body)


def dumps_call(args, kwargs, what):
    """The arguments of a call."""
    # Flat, if they are plain: the number of positions, those, then names and values.
    flat = (len(args), *args, *(part for pair in kwargs.items() for part in pair))
    return dumps(flat, what) if is_plain(flat) else dumps_anyhow((args, kwargs), what)


def loads_call(data):
    """Positions and names of a call."""
    value = loads(data)
    if data[:1] == PICKLED:
        return value
    count, *rest = value
    return rest[:count], dict(zip(rest[count::2], rest[count + 1 :: 2]))
