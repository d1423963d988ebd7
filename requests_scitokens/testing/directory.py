"""The files below a directory, as a dictionary by the path that a URL has."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path


class Directory(MutableMapping[str, bytes]):
    """The files below a directory, by the path that a URL has."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def _path(self, name: str) -> Path:
        path = self._root.joinpath(name.lstrip("/")).resolve()
        if not path.is_relative_to(self._root):
            raise PermissionError(name)
        return path

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except (OSError, ValueError):  # ValueError: a null character
            raise KeyError(name) from None

    def __setitem__(self, name: str, content: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def __delitem__(self, name: str) -> None:
        try:
            self._path(name).unlink()
        except (OSError, ValueError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        files = [path for path in self._root.rglob("*") if path.is_file()]
        return (f"/{path.relative_to(self._root).as_posix()}" for path in files)

    def __len__(self) -> int:
        return len(list(iter(self)))
