"""SciTokens for Requests.

Every public name is loaded when it is first used: a start-up file imports this
package in programs that may never need it, so importing it must cost nothing.
"""

_NAMES = {
    "auth": ("HTTPSciTokenAuth", "TokenNotFoundError"),
    "sessions": ("Session", "SessionMixin"),
    "diagnosis.report": ("explain",),
    "api": ("delete", "get", "head", "options", "patch", "post", "put", "request"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)
_SUBMODULES = ("api", "auth", "requests", "sessions", "testing", "utils")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _HOMES:
        # Not kept: `patch` is this function until the module of that name, which
        # patches, is imported.
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
