"""Many calls of one function: inputs as a stream, a bounded window of calls, results as they come."""

import collections
import threading
import weakref

from ._calls import spawn
from ._errors import Error

# Calls that are under way or whose results nobody has taken yet.
WINDOW = 256
MOST = 1000


class Map:
    """An iterator over results. One that raises has not ended: the other results are still to come."""

    def __init__(self, function, inputs, kwargs, ordered, return_exceptions, window):
        window = WINDOW if window is None else window
        if not isinstance(window, int) or not 1 <= window <= MOST:
            raise ValueError(f"`window` is a whole number from 1 to {MOST}, not {window!r}")
        self.function, self.inputs, self.kwargs = function, iter(inputs), dict(kwargs or {})
        self.ordered, self.return_exceptions, self.window = ordered, return_exceptions, window
        # In order: the calls, oldest first. As completed: those that have ended; the others are counted, and under way.
        self.calls = collections.deque()
        self.count = 0
        self.under_way = set()
        self.ended = threading.Condition()
        self.broken = None

    def __iter__(self):
        return self

    def fill(self):
        """Starts calls until the window is full, or there are no inputs."""
        while self.inputs is not None and len(self.calls) + self.count < self.window:
            try:
                args = next(self.inputs)
            except StopIteration:
                self.inputs = None
                return
            except Exception as error:
                # What was started before is given first.
                self.inputs, self.broken = None, error
                return
            self.start(args)

    def start(self, args):
        try:
            if self.ordered:
                self.calls.append(spawn(self.function, args, self.kwargs))
            else:
                self.start_unordered(args)
        except (Error, TypeError, ValueError) as error:
            # This input cannot travel; the others can.
            self.calls.append(error)

    def start_unordered(self, args):
        # Whoever has dropped the iterator waits for no end.
        me = weakref.ref(self)

        def on_end(call):
            if (map := me()) is not None:
                map.on_end(call)

        with self.ended:
            self.count += 1
        try:
            # Not behind the lock: to send may take until another call has ended.
            call = spawn(self.function, args, self.kwargs, on_end)
        except BaseException:
            with self.ended:
                self.count -= 1
            raise
        with self.ended:
            if not call.done():
                self.under_way.add(call)

    def on_end(self, call):
        with self.ended:
            self.count -= 1
            self.under_way.discard(call)
            self.calls.append(call)
            self.ended.notify()

    def __next__(self):
        self.fill()
        if not self.ordered:
            with self.ended:
                while not self.calls and self.count:
                    self.ended.wait()
        if not self.calls:
            broken, self.broken = self.broken, None
            raise broken or StopIteration
        first = self.calls.popleft()
        try:
            if isinstance(first, BaseException):
                raise first
            return first.get()
        except Exception as error:
            if self.return_exceptions:
                return error
            raise

    def close(self):
        """Cancels what is under way; there are no more results."""
        self.inputs = None
        left = [*self.calls, *self.under_way]
        self.calls.clear()
        for call in left:
            if not isinstance(call, BaseException):
                call.cancel()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        for call in [*getattr(self, "calls", ()), *getattr(self, "under_way", ())]:
            if not isinstance(call, BaseException):
                call.cancel_later()
