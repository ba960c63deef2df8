"""Python functions that run in the kitchen of a pod: sandboxed, traced, and not twice for the same.

    import computepods

    app = computepods.App("hello")

    @app.function(timeout=60, cache=True)
    def square(x):
        return x * x

    @app.local_entrypoint()
    def main(count: int = 3):
        print(list(square.map(range(count))))

`majordomo launch FILE` runs the entry point, on the caller's side; `.remote()`, `.spawn()` and `.map()` run in the kitchen.

This module is imported on both sides, in the kitchen by every call, so it imports nothing: what only one side needs is
found when it is asked for.
"""

PROTOCOL = 1

__all__ = [
    "App",
    "CallCancelled",
    "CallTimedOut",
    "Error",
    "Function",
    "FunctionCall",
    "FunctionExited",
    "NotImportable",
    "NotPicklable",
    "NoMajordomo",
    "Refused",
    "RemoteError",
    "Retries",
    "TooLarge",
    "attempt",
    "gather",
]

_ELSEWHERE = {
    "App": "_app",
    "Function": "_app",
    "Retries": "_app",
    "FunctionCall": "_calls",
    "gather": "_calls",
}


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = __import__(f"{__name__}.{_ELSEWHERE.get(name, '_errors')}", fromlist=[name])
    value = globals()[name] = getattr(module, name)
    return value


def attempt():
    """Which attempt of its call a function runs in, from 1; outside of the kitchen always 1.

    A function that asks has seen the answer: a result of `cache=True` then answers only for first attempts if it
    came from one.
    """
    try:
        with open("/project/.majordomo/call/attempt", encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return 1
