"""Where exports are kept: a directory, or whatever fsspec reaches. A file is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from query.exports.errors import StorageUnusable

_PARTIAL = ".partial"


class Storage:
    """Files under one URL, named by relative paths. Thread-safe.

    A new file appears under its name only when it is complete: in a directory it is renamed, elsewhere it is sent when
    it is complete, which object stores do in one step.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """Open the place, and make it if it is a directory that does not exist.

        Args:
            url: A directory, ``~`` included, or a URL of fsspec.
            options: Arguments of its file system.

        Raises:
            StorageUnusable: It cannot be reached, or a package is missing for it.
        """
        self.url = url
        with self._translated():
            self._fs, self._root = url_to_fs(os.path.expanduser(url), **(options or {}))  # noqa: PTH111 - may be a URL
            self._local = isinstance(self._fs, LocalFileSystem)
            if self._local and not Path(self._root).is_dir():
                # Exports hold personal data: nobody else on the machine may read them.
                Path(self._root).mkdir(mode=0o700, parents=True)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Write a file; it appears under its name when the block ends well, and not at all when it does not.

        Raises:
            StorageUnusable: It cannot be written.
        """
        with self._translated():
            partial = self._partial(name)
            file = partial.open("wb")
        try:
            with file:
                yield cast("BinaryIO", file)
                file.flush()
                os.fsync(file.fileno())
            with self._translated():
                self._publish(partial, name)
        except OSError as error:
            raise StorageUnusable(self.url, str(error)) from error
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """Read a file.

        Raises:
            FileNotFoundError: There is none of that name.
            StorageUnusable: It cannot be opened.
        """
        with self._translated():
            file = self._fs.open(self._path(name), "rb")
        # What goes wrong in the block is the business of whoever reads.
        with file:
            yield file

    def remove(self, name: str) -> bool:
        """Remove a file; return whether it was there."""
        with self._translated():
            try:
                self._fs.rm_file(self._path(name))
            except FileNotFoundError:
                return False
            return True

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all its files; one that is not there is well."""
        with self._translated():
            try:
                self._fs.rm(self._path(name), recursive=True)
            except FileNotFoundError:
                # Another process removed it: that is what was wanted.
                return

    def read_folder(self, folder: str) -> dict[str, bytes]:
        """Return the contents of all files below a folder by their relative name; empty when it does not exist."""
        with self._translated():
            # Others write here too, and some file systems remember listings.
            self._fs.invalidate_cache()
            root = self._path(folder)
            paths = [p for p in self._fs.find(root) if not p.endswith(_PARTIAL)] if self._fs.exists(root) else []
            found = self._fs.cat(paths, on_error="return") if paths else {}
            return {path.removeprefix(self._path("")): data for path, data in found.items() if _is_there(data)}

    def remove_partial(self, older_than: float) -> None:
        """Remove what processes that were killed left half written.

        Args:
            older_than: Only what was last written before this time, seconds since 1970.
        """
        if not self._local:
            return
        with self._translated():
            for path in Path(self._root).rglob(f".*{_PARTIAL}"):
                if path.stat().st_mtime < older_than:
                    path.unlink(missing_ok=True)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _partial(self, name: str) -> Path:
        if not self._local:
            return Path(tempfile.gettempdir(), f".auditstream-{uuid.uuid4().hex}{_PARTIAL}")
        final = Path(self._path(name))
        final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return final.with_name(f".{final.name}.{uuid.uuid4().hex}{_PARTIAL}")

    def _publish(self, partial: Path, name: str) -> None:
        if self._local:
            partial.replace(self._path(name))
        else:
            self._fs.put_file(str(partial), self._path(name))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            # Every file system of fsspec lets the errors of its own library through, and they have no common base.
            raise StorageUnusable(self.url, str(error) or type(error).__name__) from error


def _is_there(data: bytes | Exception) -> bool:
    """Return whether a file was read; one that another process removed meanwhile is not there.

    Raises:
        Exception: It could not be read for another reason.
    """
    if isinstance(data, FileNotFoundError):
        return False
    if isinstance(data, Exception):
        raise data
    return True
