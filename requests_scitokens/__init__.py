"""SciTokens for Requests.

Every public name is loaded when it is first used: a start-up file imports this
package in programs that may never need it, so importing it must cost nothing.
"""

_NAMES = {
    "auth": ("HTTPSciTokenAuth", "TokenNotFoundError"),
    "sessions": ("Session", "SessionMixin"),
    "diagnosis.report": ("explain",),
    "api": ("delete", "get", "head", "options", "post", "put", "request"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)
__all__ += ["patch"]
_SUBMODULES = ("api", "auth", "requests", "sessions", "testing", "utils")


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
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("requests-scitokens")
        except PackageNotFoundError:  # the folder was copied, without its metadata
            return "unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES, "__version__"})
