"""The kitchen's side of a call: imports the function, calls it, and leaves what came of it as a file.

`returned` is the pickle of what it returned, `raised` that of a tuple: the pickle of the exception or None, its type, its text, its
traceback. If neither is there, the function ended its process.
"""

import sys
import _frozen_importlib_external as external

from . import _values

PROJECT = "/project/"
CALL = PROJECT + ".majordomo/call/"


class ScriptFinder:
    """Modules beside the script, found by asking for names and not by listing the folder: what a call depends on is then what it
    imports, and not every name that there is."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is not None:
            return None
        folder = PROJECT + name
        for file, inside in ((folder + "/__init__.py", [folder]), (folder + ".py", None)):
            if external._path_isfile(file):
                loader = external.SourceFileLoader(name, file)
                return external.spec_from_file_location(
                    name, file, loader=loader, submodule_search_locations=inside
                )
        return None


class LateFinder:
    """Whatever nobody else has found: only then installed packages are looked for, which costs as much as a small call."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is not None:
            return None
        sys.meta_path.remove(LateFinder)
        import site

        site.main()
        sys.path.append(PROJECT[:-1])
        return external.PathFinder.find_spec(name, None)


def function(module, name, is_value):
    """The function that is called, without its decoration."""
    try:
        if is_value:
            with open(CALL + "code", "rb") as file:
                return _values.loads(file.read())
        __import__(module)
        found = sys.modules[module]
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        from ._errors import NotImportable

        words = f"`{name}` of `{module}` cannot be imported where it runs: {type(error).__name__}: {error}"
        raise NotImportable(
            words + " (functions see the folder of the script, as `/project`, and the tools of the machine)"
        ) from error
    return getattr(found, "_function", found)


def text_of(error):
    try:
        return str(error)
    except Exception:
        return "(its text cannot be had)"


def leave_raised(error):
    """Leaves an exception: itself where it survives the journey, and in any case its words."""
    import traceback

    # The worker's own frames are nobody's concern.
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    shown = "".join(traceback.format_exception(type(error), error, tb))
    itself = None
    if isinstance(error, Exception):
        try:
            itself = _values.dumps(error, "the exception")
            if type(_values.loads(itself)) is not type(error):
                itself = None
        except Exception:
            itself = None
    of = type(error)
    kind = of.__qualname__ if of.__module__ == "builtins" else f"{of.__module__}.{of.__qualname__}"
    left = _values.dumps((itself, kind, text_of(error), shown[-(1 << 20) :]), "the exception")
    with open(CALL + "raised", "wb") as file:
        file.write(left)


def main():
    module, name = sys.argv[1:3]
    is_value = len(sys.argv) > 4
    # Our own package has been found; what is imported from now on is the function's.
    del sys.path[0]
    sys.meta_path.insert(2, ScriptFinder)
    sys.meta_path.append(LateFinder)
    sys.argv[:] = [name]
    # Logs are live: each line goes out when it ends.
    sys.stdout.reconfigure(line_buffering=True)
    code = 0
    try:
        called = function(module, name, is_value)
        with open(CALL + "arguments", "rb") as file:
            data = file.read()
        args, kwargs = _values.loads_call(data)
        del data
        leave(called(*args, **kwargs), name)
    except SystemExit as error:
        code = error.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        leave_raised(error)
    end(code or 0)


def leave(result, name):
    with open(CALL + "returned", "wb", buffering=0) as file:
        try:
            _values.dump(result, file.write, f"the result of `{name}`")
            return
        except BaseException:
            external._os.unlink(CALL + "returned")
            raise


def end(code):
    """Ends the process without taking the interpreter apart: nobody needs it again."""
    if "atexit" in sys.modules:
        sys.modules["atexit"]._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    external._os._exit(code)
