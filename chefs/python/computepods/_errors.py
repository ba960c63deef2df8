"""What can go wrong with a call, besides what the function itself raises: that comes back as itself."""


class Error(Exception):
    """Whatever kept a call from its end."""


class RemoteError(Error):
    """The function raised something that cannot come back as itself. `traceback` is where, in the kitchen."""

    traceback = ""


class FunctionExited(Error):
    """The function's process ended before the function did: `os._exit`, `sys.exit`, a signal, no memory left."""


class CallTimedOut(Error, TimeoutError):
    """The function did not end within its `timeout`."""


class CallCancelled(Error):
    """Somebody cancelled the call, or the majordomo went."""


class Refused(Error):
    """The function did what no step may, such as to change a source; or asks for what there is not."""


class NotImportable(Error, ImportError):
    """The function cannot be found where it runs."""


class NotPicklable(Error, TypeError):
    """Arguments, a result or a function do not pickle, so they cannot travel."""


class TooLarge(Error, ValueError):
    """Arguments or a result are longer than may travel."""


class NoMajordomo(Error):
    """Nobody is there to run the call."""


class RemoteTraceback(Exception):
    """The cause of an exception that came back: where it was raised, in the kitchen."""

    def __str__(self):
        return f'\n"""\n{self.args[0]}"""'


# Their names for people are those by which they are imported.
for _error in [Error, *Error.__subclasses__()]:
    _error.__module__ = "computepods"
