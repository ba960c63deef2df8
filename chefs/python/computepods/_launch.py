"""Runs a program of functions on the caller's side: imports it, finds its entry point, turns words into arguments.

Exit codes: 0 well, 1 the program failed, 2 it cannot be run as it was asked for; 130 interrupted.
"""

import importlib
import inspect
import os
import signal
import socket
import sys
import traceback

from . import _calls, _results
from ._app import App
from ._errors import CallCancelled

MISTAKE = 2


def mistake(message, *hints):
    """Says what cannot be done, and ends."""
    say(f"error: {message}\n" + "".join(f"\nhint: {hint}\n" for hint in hints))
    raise SystemExit(MISTAKE)


def say(text):
    sys.stdout.flush()
    sys.stderr.write(text)
    sys.stderr.flush()


def main():
    """`FD PATH FILE NAME WORDS…`: the file by its path without links, and as it was written; an empty name is none."""
    global stopped
    fd, path, file, name, *words = sys.argv[1:]
    sock = socket.socket(fileno=int(fd))
    sock.set_inheritable(False)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.argv[:] = [file, *words]
    try:
        code = run(sock, path, file, name, words)
    except SystemExit as error:
        code = exit_code(error)
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        code = 1 if stopped is None else stopped
        # Whatever is raised because it is ended is no news; why the majordomo has gone is told by whoever started us.
        if stopped is None and not (isinstance(error, CallCancelled) and _calls.has_gone()):
            show(error)
    # It ends: a signal that comes now, when the majordomo had told of the end already, has nothing to say.
    if stopped is None:
        stopped = code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(code)


stopped = None


def stop(number, _):
    """Ends the program, once: Ctrl-C comes from the terminal and from the majordomo."""
    global stopped
    if stopped is None:
        stopped = 128 + number
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(stopped)


def exit_code(error):
    """What a program's own `sys.exit` comes to."""
    if error.code is None or error.code in (0, MISTAKE, stopped):
        return error.code or 0
    say(f"{error.code}\n" if not isinstance(error.code, int) else f"error: the program ended with exit code {error.code}\n")
    return 1


def show(error):
    """A traceback without our own frames and those of the import system."""
    ours = (os.path.dirname(__file__), "<frozen importlib", importlib.__file__)
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(ours):
        tb = tb.tb_next
    say("".join(traceback.format_exception(type(error), error, tb)))


def run(sock, path, file, name, words):
    module = os.path.splitext(os.path.basename(path))[0]
    if "." in module or module in sys.builtin_module_names:
        mistake(f"a program cannot be called `{os.path.basename(path)}`: Python would not import it by that name")
    sys.path.insert(0, os.path.dirname(path))
    _results.folder = os.path.dirname(path)
    _calls.connect(sock)
    try:
        with open(path, "rb") as source:
            compile(source.read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        say("".join(traceback.format_exception_only(type(error), error)))
        mistake(f"`{file}` cannot be read as Python")
    # Under its own name and not as `__main__`, so that what is pickled here has the same name in the kitchen.
    program = importlib.import_module(module)
    if os.path.realpath(getattr(program, "__file__", None) or "") != os.path.realpath(path):
        mistake(
            f"`{module}` is the name of another module, which Python has imported already",
            f"give `{os.path.basename(path)}` another name",
        )
    entry = entry_point(program, file, name)
    args, kwargs = arguments(entry, f"{file}::{name}" if name else file, words)
    entry(*args, **kwargs)
    return 0


def entry_point(program, file, name):
    """The function that is run: the named one, else the only one that is declared, else the one called `main`."""
    declared = {}
    for app in [value for value in vars(program).values() if isinstance(value, App)]:
        declared.update(app.entrypoints)
    if name:
        found = declared.get(name) or getattr(program, name, None)
        if not callable(found):
            known = ", ".join(f"`{known}`" for known in declared) or "none"
            mistake(f"`{file}` has no entry point `{name}`", f"entry points of it: {known}")
        return getattr(found, "remote", found)
    if len(declared) == 1 or "main" in declared:
        return declared.get("main") or next(iter(declared.values()))
    if declared:
        mistake(
            f"`{file}` has {len(declared)} entry points: " + ", ".join(f"`{known}`" for known in declared),
            f"name one: `majordomo launch {file}::{next(iter(declared))}`",
        )
    if callable(getattr(program, "main", None)):
        found = program.main
        return getattr(found, "remote", found)
    mistake(
        f"`{file}` has no entry point",
        "put `@app.local_entrypoint()` before the function that is to be run, or call it `main`",
    )


def arguments(entry, shown, words):
    """Words as arguments: each parameter is an option `--name`, annotations and defaults say the types, `*rest` takes the other words."""
    import argparse

    about = (inspect.getdoc(entry) or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(prog=f"majordomo launch {shown}", description=about, allow_abbrev=False)
    inner = getattr(entry, "__wrapped__", None) or getattr(entry, "__self__", entry)
    inner = getattr(inner, "__wrapped__", inner)
    rest, options = None, []
    for parameter in inspect.signature(inner, eval_str=True).parameters.values():
        kind, default = parameter.annotation, parameter.default
        has_default = default is not parameter.empty
        if kind is parameter.empty:
            kind = type(default) if has_default and default is not None else str
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = parameter.name
            parser.add_argument(rest, nargs="*", type=reader(kind))
            continue
        option = "--" + parameter.name.replace("_", "-")
        options.append(parameter)
        if kind is bool:
            action = argparse.BooleanOptionalAction
            parser.add_argument(option, dest=parameter.name, action=action, default=default if has_default else False)
        else:
            parser.add_argument(
                option, dest=parameter.name, type=reader(kind), default=default if has_default else None,
                required=not has_default, metavar=kind_name(kind), help=None if not has_default else "default: %(default)s",
            )
    found = vars(parser.parse_args(words))
    args = [found[p.name] for p in options if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    kwargs = {p.name: found[p.name] for p in options if p.kind is p.KEYWORD_ONLY}
    return args + (found[rest] if rest else []), kwargs


def kind_name(kind):
    return getattr(kind, "__name__", "text").upper()


def reader(kind):
    """What reads a word as a value of a type; text where nobody knows how."""
    for known in (int, float, str):
        if kind in (known, known | None):
            return known
    import pathlib

    return kind if isinstance(kind, type) and issubclass(kind, pathlib.PurePath) else str
