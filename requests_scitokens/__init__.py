"""SciTokens for Requests: every request gets the user's token, only where it belongs.

Three ways in::

    requests.get(url, auth=requests_scitokens.HTTPSciTokenAuth())
    requests_scitokens.get(url)                  # and post(), put(), ..., Session()
    REQUESTS_SCITOKENS_AUTOPATCH=1 python script.py   # a script that only knows requests

`python -m requests_scitokens URL` says which token is found and what is sent where.
"""

# Every public name is loaded when it is first used: a start-up file imports this package in
# programs that may never need it, so importing it must cost nothing.
_NAMES = {
    "auth": (
        "Given",
        "HTTPSciTokenAuth",
        "MalformedTokenError",
        "TokenFunction",
        "TokenNotFoundError",
    ),
    "sessions": ("Session", "SessionMixin"),
    "_diagnosis.report": ("explain",),
    "api": ("delete", "get", "head", "options", "post", "put", "request"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)
__all__ += ["patch"]
_SUBMODULES = ("api", "auth", "requests", "sessions", "utils")


# Here, since Python 3.15's lazy imports take a name that is not here for a module's. When
# the module of that name, which patches, is imported, it takes this function's place.
def patch(url: "str | bytes", data: object = None, **kwargs: object) -> object:
    """Send a PATCH request with `data`. See `request`."""
    from .api import patch

    return patch(url, data, **kwargs)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    problem = f"module {__name__!r} has no attribute {name!r}"
    if name == "testing":
        try:
            return import_module(f"{__name__}.{name}")
        except ImportError as error:  # the extra is not installed
            problem = f"{problem}: {error}"
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("requests-scitokens")
        except PackageNotFoundError:  # the folder was copied, without its metadata
            return "unknown"
    raise AttributeError(problem)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES, "__version__"})
