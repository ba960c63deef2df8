"""Values that travel, never longer than may travel: pickled by the standard library if it can, else by cloudpickle if that is there.

Plain ones – numbers, texts, and flat tuples of them – are written without it: arguments marshalled, since the kitchen believes its caller; results as
pickles made by hand. So a small call loads nothing for them in the kitchen, where `pickle` would load a dozen modules through the view, which costs as
much as the call.
"""

import marshal

# `MAX_BODY` of the protocol.
MOST = 256 << 20
PICKLE_PROTOCOL = 5
# Version 2 has no references, whose flags depend on chance: equal values have equal bytes.
MARSHAL_VERSION = 2

# The first letter of arguments.
MARSHALLED, PICKLED = b"M", b"P"
SCALARS = (type(None), bool, int, float, str, bytes)
# What is longer is left to pickle, which copies less.
PLAIN = 4096


def is_plain(value):
    """Whether it is a number, a text, or a flat tuple of them, and short."""
    kind = type(value)
    if kind is tuple:
        return len(value) <= PLAIN and all(type(part) is not tuple and is_plain(part) for part in value)
    if kind is int:
        return value.bit_length() <= 1024
    return kind in SCALARS and (kind not in (str, bytes) or len(value) <= PLAIN)


def pickled(value):
    """The pickle of a plain value. The opcodes are those of `pickletools`."""
    return b"\x80\x03" + opcodes(value) + b"."


def opcodes(value):
    kind = type(value)
    if value is None:
        return b"N"
    if kind is bool:
        return b"\x88" if value else b"\x89"
    if kind is int:
        number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(number)]) + number
    if kind is float:
        return b"F" + repr(value).encode() + b"\n"
    if kind is tuple:
        return b"(" + b"".join(map(opcodes, value)) + b"t"
    data = value.encode("utf-8", "surrogatepass") if kind is str else value
    return (b"X" if kind is str else b"B") + len(data).to_bytes(4, "little") + data


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
    """Pickles a value into `write`; `what` it is goes into errors."""
    if pickler is None:
        if is_plain(value):
            write(pickled(value))
            return
        from _pickle import Pickler as pickler
    from ._errors import NotPicklable, TooLarge

    try:
        pickler(Bounded(write, what), PICKLE_PROTOCOL).dump(value)
    except TooLarge:
        raise
    except Exception as error:
        raise NotPicklable(f"{what} does not pickle: {type(error).__name__}: {error}") from error


def dumps(value, what, pickler=None):
    """The pickle of a value."""
    parts = []
    dump(value, lambda part: parts.append(bytes(part)), what, pickler)
    return b"".join(parts)


def dumps_anyhow(value, what):
    """The pickle of a value, with all functions and classes in it that cannot be imported if cloudpickle is there."""
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


def dumps_call(args, kwargs, what):
    """The arguments of a call."""
    # Flat, if they are plain: the number of positions, those, then names and values.
    flat = (len(args), *args, *(part for pair in kwargs.items() for part in pair))
    if is_plain(flat):
        return MARSHALLED + marshal.dumps(flat, MARSHAL_VERSION)
    return PICKLED + dumps_anyhow((args, kwargs), what)


def loads_call(data):
    """Positions and names of a call; in the kitchen."""
    body = memoryview(data)[1:]
    if data[:1] == PICKLED:
        return loads(body)
    count, *rest = marshal.loads(body)
    return rest[:count], dict(zip(rest[count::2], rest[count + 1 :: 2]))


def loads(body):
    """The value of a pickle; in the kitchen, where nothing has to be feared of it."""
    from _pickle import loads

    return loads(body)
