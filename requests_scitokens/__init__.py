"""SciTokens for Requests.

Every public name is loaded when it is first used: a start-up file imports this
package in programs that may never need it, so importing it must cost nothing.
"""

__all__ = [
    "HTTPSciTokenAuth",
    "Session",
    "SessionMixin",
    "TokenNotFoundError",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]

_MODULES = {
    "HTTPSciTokenAuth": "auth",
    "TokenNotFoundError": "auth",
    "Session": "sessions",
    "SessionMixin": "sessions",
}
_SUBMODULES = ("api", "auth", "requests", "sessions", "testing", "utils")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in __all__:
        # Not kept: `patch` is this function until the module of that name, which
        # patches, is imported.
        return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'api')}"), name)
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("requests-scitokens")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES, "__version__"})
