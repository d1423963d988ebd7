"""What the `.pth` file calls; standard library only.

Python is still setting up site-packages then: an import costs every program, and an
exception would be a traceback in front of the program's own output. So nothing happens
here but to wait for `requests`.
"""

import os
import sys
from _thread import get_ident

from ._environment import AUTOPATCH, OFF, ON

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_complaints: "set[str]" = set()


def start() -> None:
    """Patch `requests` as soon as the program imports it, if the variable says so.

    Any number of calls do what one does: a virtual environment processes the start-up
    file twice, and overlaid environments that of each layer.
    """
    setting = os.environ.get(AUTOPATCH, "").strip().lower()
    if setting in OFF:
        return
    if setting not in ON:
        _complain(f"{AUTOPATCH} is neither 1 (true, yes, on) nor 0 (false, no, off)")
        return
    # By name: another layer's file may have brought a class of its own.
    kinds = [(type(one).__module__, type(one).__name__) for one in sys.meta_path]
    if (__name__, "_Finder") not in kinds:
        sys.meta_path.insert(0, _Finder())
        if "requests" in sys.modules:
            # Another start-up file was first. Where a thread of its own is still
            # importing it, importing the patch waits for that.
            _enable()


class _Finder:
    """Finds `requests` as Python would, with a loader that patches it.

    Python may hold its import lock while it asks. So nothing is imported here: that could
    wait for a module that another thread is importing, and that thread for the lock, for
    ever. Nor is `sys.meta_path` changed: another thread may be walking it, and would
    leave out a finder.
    """

    def __init__(self) -> None:
        self._asking: set[int] = set()

    def find_spec(
        self,
        name: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        # Finders that ask all the others come back to this one: it has no answer then.
        thread = get_ident()
        if name != "requests" or thread in self._asking:
            return None
        spec: ModuleSpec | None = None
        try:
            self._asking.add(thread)
            for finder in tuple(sys.meta_path):
                if spec is None and hasattr(finder, "find_spec"):
                    spec = finder.find_spec(name, path, target)
        finally:
            self._asking.discard(thread)
        if spec is not None and spec.loader is not None:
            # A lazy loader gives way to what is in it: the patch needs all of `requests`,
            # and Python 3.13 cannot load lazily what is lazy already.
            lazy = getattr(sys.modules.get("importlib.util"), "LazyLoader", ())
            while isinstance(spec.loader, lazy):
                spec.loader = spec.loader.loader
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """Somebody's loader, around which the patch is enabled.

    Theirs may be a class, refuse new attributes, or serve other modules as well:
    nothing is changed in it.
    """

    _theirs: "Any" = None  # `copy` and `pickle` look at an object before they fill it

    def __init__(self, theirs: object) -> None:
        self._theirs = theirs

    def __getattr__(self, name: str) -> "Any":
        # Also the two that are ours: Python asks which of them a loader has.
        theirs = getattr(self._theirs, name)
        return {"exec_module": self._exec, "load_module": self._load}.get(name, theirs)

    def _exec(self, module: "ModuleType") -> None:
        # First its own loader again: requests, and the program, see nothing of this.
        spec = getattr(module, "__spec__", None)
        if getattr(spec, "loader", None) is self:
            spec.loader = self._theirs  # type: ignore[union-attr]
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._theirs
        self._theirs.exec_module(module)
        _loaded(module)

    def _load(self, name: str) -> "ModuleType":
        module: ModuleType = self._theirs.load_module(name)
        _loaded(module)
        return module


def _loaded(module: "ModuleType") -> None:
    """Enable the patch, unless the module is a copy that somebody loaded aside."""
    if sys.modules.get("requests") is not module:
        return
    # After an interrupted import Python has forgotten `requests`, but not the modules in
    # it, and makes `requests.exceptions` an attribute only where it loads that anew.
    for name, part in tuple(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if parent == "requests" and child not in vars(module):
            setattr(module, child, part)
    _enable()


def _enable() -> None:
    # Ctrl-C, or a handler of SIGTERM that calls `sys.exit`, ends the import of requests
    # as it would without us; the next one tries again.
    try:
        patch: Any = sys.modules.get("requests_scitokens.patch")
        # Where another thread is importing it, and waits for requests, it has come so far
        # that it has this function, and it must not be waited for.
        if not hasattr(patch, "enable"):
            import requests_scitokens.patch  # noqa: F401, importing it enables it

            patch = sys.modules["requests_scitokens.patch"]
        patch.enable()  # it may have been imported long before, or lazily
    except Exception as error:  # noqa: BLE001, the program runs whatever happens
        _complain(error)


def _complain(problem: object) -> None:
    """Say in one line, and once, that the program runs unpatched."""
    try:
        text = str(problem)
        if isinstance(problem, Exception):
            text = f"{type(problem).__name__}: {text}; `python -m pip check` may know why"
        line = f"requests-scitokens: not patching requests: {' '.join(text.split())}\n"
        if line in _complaints:
            return
        _complaints.add(line)
        if sys.stderr is sys.__stderr__:
            # Past its buffer: what a full disk does not take would be tried again at the
            # program's end, and fail, and change the program's status.
            stderr = sys.stderr.fileno()  # type: ignore[union-attr]
            os.write(stderr, line.encode("ascii", "backslashreplace"))
        else:
            sys.stderr.write(line)
    except Exception:  # noqa: BLE001, S110, no stderr, or it is full, or closed
        pass
