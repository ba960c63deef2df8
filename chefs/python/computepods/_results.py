"""What comes back from the kitchen, read on the caller's side: as data, and not as whatever its bytes ask for.

A pickle may call anything that it names, and these are written by code that runs in a sandbox for good reasons. So only what makes
data may be named: common types of the standard library, classes of the program's own modules, exceptions, and what the program
says it trusts (`App(trust=["pandas"])`). No module is imported for it that is none of these.
"""

import _pickle
import enum
import importlib
import importlib.util
import io
import os
import pickle
import sys

from ._errors import Refused

# The folder of the program; set by `_launch`.
folder = None
# That of the standard library.
STANDARD = os.path.dirname(os.path.realpath(os.__file__))

SAFE = {
    "array": {"array", "_array_reconstructor"},
    "builtins": {
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
        *("object", "range", "set", "slice", "str", "tuple"),
        # Values, which are pickled by their names.
        *("Ellipsis", "NotImplemented"),
    },
    "collections": {"ChainMap", "Counter", "OrderedDict", "UserDict", "UserList", "defaultdict", "deque"},
    "copyreg": {"_reconstructor", "__newobj__", "__newobj_ex__"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "ipaddress": {"IPv4Address", "IPv4Network", "IPv6Address", "IPv6Network"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath"},
    "re": {"_compile"},
    "types": {"SimpleNamespace"},
    "uuid": {"SafeUUID", "UUID"},
}


def is_own(module):
    """Whether a module is the program's: its file is in the program's folder, and not of an installed Python that is there, too."""
    if folder is None:
        return False
    known = sys.modules.get(module)
    if known is not None:
        file = getattr(known, "__file__", None)
    else:
        try:
            top = importlib.util.find_spec(module.partition(".")[0])
        except (ImportError, ValueError):
            return False
        file = top and top.origin
    file = os.path.realpath(file) if file else ""
    installed = "-packages" + os.sep in file or file.startswith(os.path.join(STANDARD, ""))
    return file.startswith(os.path.join(folder, "")) and not installed


def refused(module, name):
    top = module.partition(".")[0]
    # Whoever trusts Python's own names trusts `eval`.
    hint = "" if top == "builtins" else f"; if it has to be, say `App(trust=[{top!r}])`"
    return Refused(
        f"`{module}.{name}` is not made outside of the kitchen: what a function returns is data, of common types and of the program's own"
        f" classes{hint}"
    )


def member(of, name):
    """What stands for `getattr`, by which Python 3.11 pickles members of enumerations."""
    members = getattr(of, "__members__", {}) if isinstance(of, type) else {}
    if name not in members:
        raise refused("builtins", "getattr")
    return members[name]


class Named(Exception):
    """Something is named, so it takes an `Unpickler`."""


class Nameless(_pickle.Unpickler):
    """A fast one for what names nothing: numbers, texts, lists and the like."""

    def find_class(self, module, name):
        raise Named


class Unpickler(pickle._Unpickler):
    """One that finds only what makes data.

    The one in Python, since in the one in C nothing can be said about `BUILD`: it sets attributes of whatever stands on the stack, and
    with that methods of the program's classes.
    """

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, body, trust):
        super().__init__(io.BytesIO(body))
        self.trust = tuple(trust)

    def is_trusted(self, module):
        return any(module == name or module.startswith(name + ".") for name in self.trust)

    def find_class(self, module, name):
        if (module, name) == ("builtins", "getattr") and not self.is_trusted(module):
            return member
        if module not in sys.modules and (module in SAFE or self.is_trusted(module) or is_own(module)):
            importlib.import_module(module)
        found = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        # By where it really is, whatever the way that led there.
        home = getattr(found, "__module__", None) or module
        if found is not None and (
            self.is_trusted(home)
            or (name in SAFE.get(module, ()) and "." not in name)
            or (isinstance(found, type) and (issubclass(found, BaseException) or is_own(home)))
        ):
            return found
        raise refused(module, name)

    def load_build(self):
        made = self.stack[-2]
        # These were there before, and belong to the program.
        if isinstance(made, (type, enum.Enum)):
            of = made if isinstance(made, type) else type(made)
            raise Refused(f"what came back would change `{of.__module__}.{of.__qualname__}`: a function returns data")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build


def loads(body, trust=()):
    """The value of a pickle that came back."""
    try:
        return Nameless(io.BytesIO(body)).load()
    except Named:
        return Unpickler(body, trust).load()
