"""What the `.pth` and `.start` files call; standard library only.

At this point of the interpreter's start, site-packages are still being set up: an
import costs every program, and an exception would be a traceback in front of the
program's own output. So nothing happens here but to wait for `requests`.
"""

import os
import sys

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

VARIABLE = "REQUESTS_SCITOKENS_AUTOPATCH"
ON = ("1", "true", "yes", "on")
OFF = ("", "0", "false", "no", "off")

_complaints: "set[str]" = set()


def start() -> None:
    """Patch `requests` as soon as the program imports it, if the variable says so.

    Any number of calls do what one does: overlaid environments process the start-up
    files of each layer.
    """
    setting = os.environ.get(VARIABLE, "").strip().lower()
    if setting in OFF:
        return
    if setting not in ON:
        _complain(f"{VARIABLE} is neither 1 (true, yes, on) nor 0 (false, no, off)")
    elif "requests" in sys.modules:
        _enable()  # another start-up file was first
    elif not any(type(finder).__name__ == _Finder.__name__ for finder in sys.meta_path):
        # By name: the other layer's file may have brought a class of its own.
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds `requests` as Python would, and patches it when it is loaded."""

    def find_spec(
        self,
        name: str,
        path: "Sequence[str] | None" = None,  # noqa: ARG002, importlib's signature
        target: "ModuleType | None" = None,  # noqa: ARG002, likewise
    ) -> "ModuleSpec | None":
        if name != "requests" or self not in sys.meta_path:
            return None
        from importlib.util import find_spec

        place = sys.meta_path.index(self)
        sys.meta_path.remove(self)
        try:
            spec = find_spec(name)
        finally:
            # Programs ask whether there is one, extend sys.path, try again.
            sys.meta_path.insert(place, self)
        loader = spec.loader if spec is not None else None
        if loader is None or not hasattr(loader, "exec_module"):
            return spec
        load = loader.exec_module

        def load_and_patch(module: "ModuleType") -> None:
            try:  # noqa: SIM105, contextlib would be one more import
                del loader.exec_module  # the class's own again
            except AttributeError:
                pass  # it was asked for several times, and this is the last
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _enable()

        try:
            loader.exec_module = load_and_patch  # type: ignore[method-assign]
        except AttributeError as error:  # somebody's loader with slots
            _complain(error)
        return spec


def _enable() -> None:
    try:
        import requests_scitokens.patch  # noqa: F401, importing it patches
    except (Exception, SystemExit) as error:  # noqa: BLE001, the program runs whatever happens
        _complain(error)


def _complain(problem: object) -> None:
    """Say in one line that the program runs unpatched."""
    text = str(problem)
    if isinstance(problem, BaseException):
        text = f"{type(problem).__name__}: {text}; `python -m pip check` may know why"
    line = " ".join(text.split())
    # A virtual environment processes its start-up files twice; pythonw has no stderr.
    if line not in _complaints and sys.stderr is not None:
        _complaints.add(line)
        try:  # noqa: SIM105, contextlib would be one more import
            sys.stderr.write(f"requests-scitokens: not patching requests: {line}\n")
        except (OSError, ValueError):
            pass  # full, or closed: an exception here would end the program
