"""Declarations: what can be called, and how it is run. Imported in the kitchen by every call, so it imports nothing."""

DEFAULT_TIMEOUT = 300.0
MOST_RETRIES = 100


class Retries:
    """When a failed attempt of a call is followed by another one.

    `count` more attempts at most; `delay` seconds before the first of them, and each wait `backoff` times as long as the one
    before, never more than 60 seconds.
    """

    def __init__(self, count, *, delay=0.0, backoff=1.0):
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_RETRIES:
            raise ValueError(f"`retries` is a whole number from 0 to {MOST_RETRIES}, not {count!r}")
        if not 0 <= delay <= 60:
            raise ValueError(f"`delay` is from 0 to 60 seconds, not {delay!r}")
        if not 1 <= backoff <= 10:
            raise ValueError(f"`backoff` is from 1 to 10, not {backoff!r}")
        self.count, self.delay, self.backoff = count, delay, backoff


def size(text):
    """Bytes, from a number or a text such as `"512M"`."""
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    digits, shift = text, 0
    if isinstance(text, str):
        shift = units.get(text[-1:], 0)
        digits = int(text[: len(text) - (shift > 0)]) if text[: len(text) - (shift > 0)].isdecimal() else None
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 < digits << shift < 1 << 63:
        raise ValueError(f"`memory` is whole bytes or a text such as '512M', not {text!r}")
    return digits << shift


class App:
    """The functions of a program, and its entry points.

    `trust`: names of modules that may make values of results on the caller's side, besides common types and the program's own classes.
    """

    def __init__(self, name="", *, trust=()):
        if isinstance(trust, str) or not all(isinstance(module, str) for module in trust):
            raise TypeError(f"`trust` is a list of names of modules, not {trust!r}")
        self.name, self.trust = name, tuple(trust)
        self.functions = {}
        self.entrypoints = {}

    def function(self, function=None, **options):
        """Makes a function one that can run in the kitchen.

        `timeout`: seconds after which an attempt is ended (300). `retries`: how many more attempts a call has when one
        fails, a number or `Retries`. `cache`: a call that is equal in code, arguments and all that it saw is not run twice.
        `network`: it may use the host's network. `env`: variables that it sees. `memory`: how much of it all its processes may use,
        bytes or a text such as `"512M"`. `cpus`: how many processors it may keep busy. `image`: what it runs over instead of this machine.
        `secrets`: names of variables of the program's environment that it finds as files in `/run/secrets`.
        """

        def decorate(function):
            made = Function(function, trust=self.trust, **options)
            self.functions[made.__qualname__] = made
            return made

        return decorate if function is None else decorate(function)

    def local_entrypoint(self, function=None):
        """Makes a function what `majordomo launch` runs, on the caller's side; its parameters become options."""

        def decorate(function):
            self.entrypoints[function.__name__] = function
            return function

        return decorate if function is None else decorate(function)


class Function:
    """A function that can run in the kitchen."""

    def __init__(
        self,
        function,
        *,
        image=None,
        timeout=None,
        retries=0,
        cache=False,
        network=False,
        env=None,
        memory=None,
        cpus=None,
        secrets=(),
        trust=(),
    ):
        if not callable(function):
            raise TypeError(f"`function` decorates a function, not {function!r}")
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
        timeout = DEFAULT_TIMEOUT if timeout is None else timeout
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < 1e9:
            raise ValueError(f"`timeout` of `{name}` is a number of seconds, not {timeout!r}")
        if image is not None and not isinstance(image, str):
            raise TypeError(f"`image` of `{name}` is a name, not {image!r}")
        env = {} if env is None else dict(env)
        if not all(isinstance(text, str) for pair in env.items() for text in pair):
            raise TypeError(f"`env` of `{name}` has names and values that are not all text")
        secrets = (secrets,) if isinstance(secrets, str) else tuple(secrets)
        if not all(isinstance(secret, str) and secret for secret in secrets):
            raise TypeError(f"`secrets` of `{name}` are names of variables, not {secrets!r}")
        if secrets and cache:
            raise ValueError(f"`{name}` has secrets, and what it makes of them is not kept: take `cache` out")
        self._function = function
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", name)
        self.__qualname__ = name
        self.__module__ = getattr(function, "__module__", None)
        self.__doc__ = function.__doc__
        self.image, self.timeout, self.cache = image, float(timeout), bool(cache)
        self.retries = retries if isinstance(retries, Retries) else Retries(retries)
        self.network, self.env, self.trust = bool(network), env, trust
        self.memory = None if memory is None else size(memory)
        if cpus is not None and (isinstance(cpus, bool) or not isinstance(cpus, (int, float)) or not 0 < cpus < 1e6):
            raise ValueError(f"`cpus` of `{name}` is a number above 0, not {cpus!r}")
        self.cpus = None if cpus is None else float(cpus)
        self.secrets = secrets

    def __repr__(self):
        return f"<function {self.__module__}.{self.__qualname__} of an App>"

    def __reduce__(self):
        # By its name, as functions are.
        return self.__qualname__

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        raise TypeError(f"`{self.__qualname__}` is a method: only plain functions can run in the kitchen")

    def __call__(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    def local(self, *args, **kwargs):
        """Calls it here, as if it were not decorated."""
        return self._function(*args, **kwargs)

    def remote(self, *args, **kwargs):
        """Calls it in the kitchen, and waits for what it returns, or raises what it raises."""
        return self.spawn(*args, **kwargs).get()

    def spawn(self, *args, **kwargs):
        """Calls it in the kitchen, and does not wait: a `FunctionCall`."""
        from ._calls import spawn

        return spawn(self, args, kwargs)

    def map(self, *iterables, kwargs=None, order_outputs=True, return_exceptions=False, window=None):
        """Calls it in the kitchen for each input (several iterables: for each tuple of their zip), and gives results as they come.

        Inputs are taken as they are needed, `window` (256) calls ahead of what was given. In the order of the inputs, or as they
        are completed with `order_outputs=False`. A call that fails raises where its result would be, and the iterator still has all
        others; with `return_exceptions=True` the exception stands in its place.
        """
        from ._map import Map

        return Map(self, zip(*iterables), kwargs, order_outputs, return_exceptions, window)

    def starmap(self, inputs, *, kwargs=None, order_outputs=True, return_exceptions=False, window=None):
        """As `map`; each input is a tuple of arguments."""
        from ._map import Map

        return Map(self, (tuple(args) for args in inputs), kwargs, order_outputs, return_exceptions, window)

    def for_each(self, *iterables, kwargs=None, window=None):
        """As `map`, for what the function does rather than for what it returns."""
        for _ in self.map(*iterables, kwargs=kwargs, order_outputs=False, window=window):
            pass
