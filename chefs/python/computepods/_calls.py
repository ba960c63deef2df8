"""The caller's side: one connection to the majordomo, and the calls that are under way on it.

A thread reads answers and hands each to its call; results are unpickled by whoever asks for them. Sending is behind a lock, so any
thread may call.
"""

import collections
import importlib.util
import itertools
import marshal
import os
import select
import socket
import sys
import threading
import traceback

from . import PROTOCOL, _errors, _frames, _results, _values

_connection = None


def connect(sock):
    """Begins to talk; called once, by `_launch`."""
    global _connection
    _connection = Connection(sock)


def has_gone():
    """Whether the majordomo has gone."""
    return _connection is not None and _connection.gone is not None


def connection(function):
    """The connection, if there is one."""
    if _connection is None:
        name = function.__qualname__
        if os.path.isdir("/project/.majordomo/call"):
            raise _errors.NoMajordomo(
                f"`{name}` cannot be called remotely by a function that runs in the kitchen: call `{name}.local()`"
            )
        raise _errors.NoMajordomo(
            f"nobody is there to run `{name}`: start the program by `majordomo launch FILE`, or call `{name}.local()`"
        )
    return _connection


def kitchen_python():
    """This interpreter and its folder of packages as the kitchen sees them; another one if it cannot see this one."""
    prefix, base = os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)
    real = os.path.realpath(sys.executable)
    if not real.startswith(("/usr/", "/opt/")):
        return "python3", []
    if prefix != base:
        return os.path.join(prefix, "bin", os.path.basename(sys.executable)), [prefix]
    return real, []


def compiled_parts():
    """Our own modules that every call imports, compiled: nothing that each call would do again."""
    folder = os.path.dirname(__file__)
    for name in ("__init__", "_app", "_errors", "_values", "_worker"):
        with open(os.path.join(folder, name + ".py"), "rb") as file:
            source = file.read()
        place = f"/project/.majordomo/python/computepods/{name}.py"
        code = compile(source, place, "exec", dont_inherit=True, optimize=0)
        # PEP 552; the flags: named by its source's hash, and believed without a look at the source.
        head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
        # Version 2 has no references, whose flags depend on chance.
        yield f"computepods/__pycache__/{name}.{sys.implementation.cache_tag}.pyc", head + marshal.dumps(code, 2)


class Connection:
    """One socket, and the calls on it."""

    def __init__(self, sock):
        self.sock = sock
        self.sending = threading.Lock()
        self.calls = {}
        self.codes = {}
        self.numbers = itertools.count(1)
        self.unwanted = collections.deque()
        self.gone = None
        self.pid = os.getpid()
        python, roots = kitchen_python()
        _frames.send(sock, {"ask": "hello", "protocol": PROTOCOL, "python": python, "roots": roots})
        answer = _frames.receive(sock)
        if answer is None or answer[0].get("protocol") != PROTOCOL:
            raise _errors.NoMajordomo("the majordomo speaks another version of the calls' protocol")
        for path, body in compiled_parts():
            _frames.send(sock, {"ask": "part", "path": path}, body)
        threading.Thread(target=self.listen, name="computepods", daemon=True).start()

    def listen(self):
        why = "the majordomo has gone"
        try:
            while (frame := _frames.receive(self.sock)) is not None:
                header, body = frame
                call = self.calls.pop(header.get("call"), None)
                if call is not None:
                    call.end(header, body)
                self.cancel_unwanted()
        except (OSError, ValueError) as error:
            why = f"the talk with the majordomo has ended: {error}"
        except BaseException as error:
            # No memory for an answer, or whatever `on_end` raises: nobody reads any more, and nobody may wait.
            why = f"answers are read no more: {type(error).__name__}: {error}"
            raise
        finally:
            self.end_all(why)

    def end_all(self, why):
        """Nobody reads answers any more: whoever waits for one, or sends, is told."""
        try:
            # Whoever is in the middle of sending holds the lock until this.
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self.sending:
            self.gone = why
        while self.calls:
            try:
                _, call = self.calls.popitem()
            except KeyError:
                break
            try:
                call.end({"answer": "failed", "how": "cancelled", "words": why}, b"")
            except Exception:
                # What its owner does about its end is no matter of the others.
                traceback.print_exc()

    def send(self, header, body=b""):
        if os.getpid() != self.pid:
            raise _errors.NoMajordomo("a forked process has no majordomo: only the program itself can call remotely")
        frame = _frames.head(header, body)
        with self.sending:
            if self.gone is not None:
                raise _errors.CallCancelled(self.gone)
            try:
                self.sock.sendall(frame)
                if body:
                    self.sock.sendall(body)
            except OSError as error:
                raise _errors.CallCancelled(f"the majordomo has gone: {error}") from error

    def cancel_unwanted(self):
        """Tells what nobody waits for any more. Asked for by whoever may be in the middle of anything, so said here, where answers are read: later,
        if somebody is sending, who may have to wait until more of them are read."""
        while self.unwanted and self.sending.acquire(blocking=False):
            try:
                room = select.poll()
                room.register(self.sock, select.POLLOUT)
                if self.gone is not None or not room.poll(0):
                    return
                _frames.send(self.sock, {"ask": "cancel", "call": self.unwanted.popleft()})
            except OSError:
                # The majordomo has gone, as the next answer says.
                return
            finally:
                self.sending.release()

    def code_of(self, function):
        """Where the kitchen finds a function: its module and name, and a number if it travels as a value."""
        if importable(function):
            return function.__module__, function.__qualname__, None
        if function not in self.codes:
            raw, name = function._function, function.__qualname__
            code = _values.by_value(raw, f"the function `{name}`")
            if code is None:
                raise _errors.NotImportable(
                    f"`{name}` cannot be imported by its name, for it is no function at the top of a module: "
                    "move it there, or install cloudpickle (Debian: `python3-cloudpickle`)"
                )
            self.codes[function] = number = len(self.codes) + 1
            self.send({"ask": "code", "code": number}, code)
        return function.__module__ or "?", function.__qualname__, self.codes[function]

    def call(self, function, args, kwargs, on_end):
        name = function.__qualname__
        module, found, code = self.code_of(function)
        body = _values.dumps_call(args, kwargs, f"an argument of `{name}`")
        number = next(self.numbers)
        call = FunctionCall(self, number, name, on_end, function.trust)
        retries = function.retries
        self.calls[number] = call
        header = {
            "ask": "call",
            "call": number,
            "module": module,
            "name": found,
            "code": code,
            "timeout_ms": max(1, round(function.timeout * 1000)),
            "retries": {
                "most": retries.count,
                "delay_ms": round(retries.delay * 1000),
                "backoff": float(retries.backoff),
            },
            "cache": function.cache,
            "network": function.network,
            "memory": function.memory,
            "cpus": function.cpus,
            "env": function.env,
            "image": function.image,
            "secrets": secrets_of(function),
            "trusts": bool(function.trust),
        }
        try:
            self.send(header, body)
        except BaseException:
            self.calls.pop(number, None)
            raise
        return call


def importable(function):
    """Whether a function is what its module has under its name."""
    found = sys.modules.get(function.__module__)
    if found is None or function.__module__ == "__main__":
        return False
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function or found is function._function


def secrets_of(function):
    """The values of its secrets, as the program's environment has them now."""
    for name in function.secrets:
        if name not in os.environ:
            raise _errors.Refused(
                f"the secret `{name}` of `{function.__qualname__}` is not in the environment: set `{name}` and launch again"
            )
    return {name: os.environ[name] for name in function.secrets}


def spawn(function, args, kwargs, on_end=None):
    """Starts a call."""
    return connection(function).call(function, args, kwargs, on_end)


class FunctionCall:
    """A call that was started."""

    def __init__(self, connection, number, name, on_end=None, trust=()):
        self._connection, self._number, self._name = connection, number, name
        self._ended = threading.Event()
        self._answer = None
        self._on_end, self._trust = on_end, trust

    def __repr__(self):
        return f"<call of `{self._name}`, {'ended' if self.done() else 'under way'}>"

    def end(self, header, body):
        """It has ended; called once, by the thread that listens."""
        self._answer = header, body
        self._ended.set()
        if self._on_end is not None:
            self._on_end(self)

    def done(self):
        """Whether it has ended, well or not."""
        return self._ended.is_set()

    def cancel(self):
        """Ends it, if it has not ended."""
        if not self.done():
            try:
                self._connection.send({"ask": "cancel", "call": self._number})
            except _errors.Error:
                # Whoever is gone runs nothing any more.
                pass

    def cancel_later(self):
        """The same for whoever may be in the middle of anything, such as a destructor."""
        if not self.done():
            self._connection.unwanted.append(self._number)

    def get(self, timeout=None):
        """Waits for what it returns, or raises what it raised. `TimeoutError` if that takes longer than `timeout` seconds."""
        if not self._ended.wait(timeout):
            raise TimeoutError(f"`{self._name}` has not ended within {timeout} s; it goes on")
        header, body = self._answer
        return outcome(self._name, header, body, self._trust)


FAILURES = {
    "exited": _errors.FunctionExited,
    "timed-out": _errors.CallTimedOut,
    "refused": _errors.Refused,
    "mistake": _errors.Refused,
    "cancelled": _errors.CallCancelled,
}


def outcome(name, header, body, trust):
    """What an answer returns or raises."""
    if header["answer"] == "returned":
        try:
            return _results.loads(body, trust)
        except _errors.Refused as error:
            raise _errors.Refused(f"the result of `{name}`: {error}") from None
        except Exception as error:
            words = f"the result of `{name}` cannot be unpickled here: {type(error).__name__}: {error}"
            raise _errors.RemoteError(words) from error
    if header["answer"] == "failed":
        kind = FAILURES.get(header["how"], _errors.Error)
        raise kind(f"`{name}`: {header['words']}")
    error, kind, text, shown = None, "something", "", ""
    try:
        itself, kind, text, shown = _results.loads(body)
        if itself is not None:
            error = _results.loads(itself, trust)
    except Exception:
        # It cannot be made here; its words can.
        pass
    if not isinstance(error, Exception):
        error = _errors.RemoteError(f"`{name}` raised {kind}: {text}")
        error.traceback = shown
    raise error from _errors.RemoteTraceback(shown)


def gather(*calls):
    """What several calls return, in their order; raises what the first of them raised that raised."""
    return [call.get() for call in calls]
