"""Values that travel: pickled within a bound, by the standard library if it can, else by cloudpickle if that is there."""

import _pickle

from ._errors import NotPicklable, TooLarge

# `MAX_BODY` of the protocol.
MOST = 256 << 20
PICKLE_PROTOCOL = 5


class Bounded:
    """A file for a pickler that refuses to become longer than may travel."""

    def __init__(self, write, what):
        self.inner, self.what, self.length = write, what, 0

    def write(self, part):
        self.length += memoryview(part).nbytes
        if self.length > MOST:
            raise TooLarge(f"{self.what} is longer than {MOST >> 20} MiB, which is the most that can travel")
        return self.inner(part)


def dump(value, write, what, pickler=_pickle.Pickler):
    """Pickles a value into `write`."""
    try:
        pickler(Bounded(write, what), PICKLE_PROTOCOL).dump(value)
    except TooLarge:
        raise
    except Exception as error:
        raise NotPicklable(f"{what} does not pickle: {type(error).__name__}: {error}") from error


def dumps(value, what, pickler=_pickle.Pickler):
    """The pickle of a value."""
    parts = []
    dump(value, lambda part: parts.append(bytes(part)), what, pickler)
    return b"".join(parts)


def dumps_anyhow(value, what):
    """The pickle of a value, with all functions and classes in it that cannot be imported if cloudpickle is there."""
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
