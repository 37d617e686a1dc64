"""The files of a simulated container: what its programs write, and what the kubelet mounts.

>>> files = FileSystem({"/etc/hostname": "web-0\\n"})
>>> files.write("/tmp/healthy", "")
>>> files.exists("/tmp/healthy"), files.read("/etc/hostname")
(True, 'web-0\\n')
>>> files.names("/etc")
['hostname']
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping

from kubesim.bytetext import bytes_of

MAX_SIZE = 1 << 20  # characters in a volume
MAX_ZEROS = 1 << 37  # bytes of zeros in a volume, which are only counted
SHOWN_ZEROS = 1 << 12
MAX_FILES = 1_000
MAX_PATH = 4_096  # PATH_MAX of Linux
DIRECTORIES = ("/", "/bin", "/dev", "/etc", "/home", "/proc", "/root", "/tmp", "/usr", "/var")


class FileError(Exception):
    """A file cannot be read or written; the message is the system's, such as "Is a directory"."""


class File:
    """The content of a file, kept in the pieces in which it was written.

    Attributes:
        size: characters, zeros included.
        zeros: zeros that were written as a block and are not kept.
    """

    __slots__ = ("_pieces", "size", "zeros")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.size = self.zeros = 0

    @property
    def text(self) -> str:
        """The whole content."""
        if len(self._pieces) > 1:
            self._pieces[:] = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def append(self, text: str) -> None:
        """Add a piece at the end."""
        self._pieces.append(text)
        self.size += len(text)

    def append_zeros(self, count: int) -> None:
        """Add zeros at the end; the file shows only some of them."""
        if not self.zeros:
            self._pieces.append("\0" * min(count, SHOWN_ZEROS))
        self.zeros += count
        self.size += count


class Volume:
    """A mounted volume: its files by relative path; a single mounted file has the path "".

    Args:
        source: returns the files of a read-only volume, such as a ConfigMap's, at each access;
            None: an empty volume that can be written and that several containers may share.
        directories: of another volume, of which this is a view.
        capacity: characters that it holds; None: as many as the simulator keeps.

    Attributes:
        size: characters in all written files.
        directories: relative paths of directories that were made.
    """

    def __init__(
        self,
        source: Callable[[], Mapping[str, str]] | None = None,
        directories: set[str] | None = None,
        capacity: int | None = None,
    ) -> None:
        self.read_only = source is not None
        self.size = self._zeros = 0
        self._capacity = MAX_ZEROS if capacity is None else capacity
        self.directories: set[str] = set() if directories is None else directories
        self._source = source
        self._written: dict[str, File] = {}

    def paths(self) -> Collection[str]:
        """Return the relative paths of all files."""
        # A copy, since pods on other threads may write the same volume.
        return self._source().keys() if self._source is not None else tuple(self._written)

    def read(self, path: str) -> str | None:
        """Return the content of a file; None if there is none."""
        if self._source is not None:
            return self._source().get(path)
        file = self._written.get(path)
        return None if file is None else file.text

    def write(self, path: str, content: str, *, append: bool) -> None:
        """Write a file.

        Args:
            path: relative.
            content: what is written.
            append: to the end of what is there.

        Raises:
            FileError: the volume is read-only or full.
        """
        file = self._opened(path, append=append)
        if self.size - self._zeros + len(content) > MAX_SIZE:
            raise FileError("No space left on device")
        if self.size + len(content) > self._capacity:
            raise FileError("No space left on device")
        file.append(content)
        self.size += len(content)

    def write_zeros(self, path: str, count: int) -> None:
        """Write a file of zeros, which takes no memory.

        Raises:
            FileError: the volume is read-only or full; it is filled up to its end.
        """
        file = self._opened(path, append=False)
        written = max(0, min(count, self._capacity - self.size))
        file.append_zeros(written)
        self.size += written
        self._zeros += written
        if written < count:
            raise FileError("No space left on device")

    def size_of(self, path: str) -> int:
        """Return the bytes of a file."""
        file = self._written.get(path)
        if file is not None and file.zeros:
            return file.size
        return len(bytes_of(self.read(path) or ""))

    def _opened(self, path: str, *, append: bool) -> File:
        if self.read_only:
            raise FileError("Read-only file system")
        file = self._written.get(path)
        if file is None or not append:
            self.remove(path)
            if len(self._written) >= MAX_FILES:
                raise FileError("No space left on device")
            file = self._written[path] = File()
        return file

    def remove(self, path: str) -> None:
        """Remove a file, if it exists.

        Raises:
            FileError: the volume is read-only.
        """
        if self.read_only:
            raise FileError("Read-only file system")
        file = self._written.pop(path, None)
        if file is not None:
            self.size -= file.size
            self._zeros -= file.zeros


class FileSystem:
    """Files by absolute path.

    Args:
        files: path -> content, at the start.
        mounts: mount path -> volume.
    """

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        mounts: Mapping[str, Volume] | None = None,
    ) -> None:
        root = Volume()
        for path, content in (files or {}).items():
            root.write(path, content, append=False)
        # The longest mount path comes first: the most specific mount decides.
        mounted = sorted((mounts or {}).items(), key=lambda item: -len(item[0]))
        self._mounts = [*mounted, ("", root)]
        self._directories = set(DIRECTORIES)
        self._directories |= {path for path, volume in mounted if "" not in volume.paths()}
        for path in (*(files or {}), *(mounts or {})):
            self._add_parents(path)

    # -- reading ----------------------------------------------------------------------------------

    def read(self, path: str) -> str:
        """Return the content of a file.

        Raises:
            FileError: there is no such file, or it is a directory.
        """
        if path == "/dev/null":
            return ""
        if self.is_directory(path):
            raise FileError("Is a directory")
        volume, relative = self._locate(path)
        content = volume.read(relative)
        if content is None:
            raise FileError("No such file or directory")
        return content

    def size_of(self, path: str) -> int:
        """Return the bytes of a file."""
        volume, relative = self._locate(path)
        return volume.size_of(relative)

    @property
    def own_size(self) -> int:
        """What was written outside of volumes."""
        return self._mounts[-1][1].size

    def exists(self, path: str) -> bool:
        """Whether there is a file or directory of that path."""
        return self.is_file(path) or self.is_directory(path)

    def is_file(self, path: str) -> bool:
        """Whether there is a file of that path."""
        volume, relative = self._locate(path)
        return path == "/dev/null" or relative in volume.paths()

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory of that path."""
        if path in self._directories:
            return True
        prefix = path.rstrip("/") + "/"
        if any(each.startswith(prefix) for each in self._mounted_paths()):
            return True
        volume, relative = self._locate(path)
        return relative in volume.directories

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted.

        Raises:
            FileError: there is no such directory.
        """
        if not self.is_directory(path):
            raise FileError("No such file or directory")
        prefix = path.rstrip("/") + "/"
        paths = [*self._all_paths(), *self._directories, *self._mounted_directories()]
        names = {each[len(prefix) :].partition("/")[0] for each in paths if each.startswith(prefix)}
        return sorted(names - {""})

    # -- writing ----------------------------------------------------------------------------------

    def write(self, path: str, content: str, *, append: bool = False) -> None:
        """Write a file.

        Args:
            path: absolute.
            content: what is written.
            append: to the end of what is there.

        Raises:
            FileError: its directory is missing or read-only, or the container's disk is full.
        """
        if path == "/dev/null":
            return
        volume, relative = self._place(path)
        volume.write(relative, content, append=append)

    def write_zeros(self, path: str, count: int) -> None:
        """Write a file of zeros, as `dd` and `fallocate` do.

        Raises:
            FileError: its directory is missing or read-only, or its volume is full.
        """
        if path == "/dev/null":
            return
        volume, relative = self._place(path)
        volume.write_zeros(relative, count)

    def _place(self, path: str) -> tuple[Volume, str]:
        """Return the volume to which a file may be written, and its path there."""
        if len(path) > MAX_PATH:
            raise FileError("File name too long")
        if self.is_directory(path):
            raise FileError("Is a directory")
        if not self.is_directory(posixpath.dirname(path)):
            raise FileError("No such file or directory")
        return self._locate(path)

    def make_directory(self, path: str, *, parents: bool = False) -> None:
        """Make a directory.

        Args:
            path: absolute.
            parents: make its parents as well, and do not mind that it exists.

        Raises:
            FileError: it exists, its parent is missing, or it lies on a read-only volume.
        """
        if len(path) > MAX_PATH:
            raise FileError("File name too long")
        volume, relative = self._locate(path)
        if volume.read_only:
            raise FileError("Read-only file system")
        if self.exists(path) and not (parents and self.is_directory(path)):
            raise FileError("File exists")
        if not parents and not self.is_directory(posixpath.dirname(path)):
            raise FileError("No such file or directory")
        if len(self._directories) + len(volume.directories) >= MAX_FILES:
            raise FileError("No space left on device")
        if volume is not self._mounts[-1][1]:
            volume.directories.update(relative[:end] for end in _ends(relative))
            return
        self._directories.add(path)
        self._add_parents(path)

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file, or a directory with all that is in it.

        Args:
            path: absolute.
            recursive: directories, too.

        Raises:
            FileError: it does not exist, is a directory or is read-only.
        """
        if not self.exists(path):
            raise FileError("No such file or directory")
        volume, relative = self._locate(path)
        if not self.is_directory(path):
            volume.remove(relative)
            return
        if not recursive:
            raise FileError("Is a directory")
        prefix = path.rstrip("/") + "/"
        for each in [each for each in self._all_paths() if each.startswith(prefix)]:
            inner, below = self._locate(each)
            inner.remove(below)
        self._directories = {
            d for d in self._directories if d != path and not d.startswith(prefix)
        } | set(DIRECTORIES)
        volume, relative = self._locate(path)
        for each in [d for d in volume.directories if f"{d}/".startswith(f"{relative}/")]:
            volume.directories.discard(each)

    # -- mounts -----------------------------------------------------------------------------------

    def _locate(self, path: str) -> tuple[Volume, str]:
        """Return the volume in which a path lies, and the path below its mount."""
        for directory, volume in self._mounts[:-1]:
            if path == directory:
                return volume, ""
            if path.startswith(directory + "/"):
                return volume, path[len(directory) + 1 :]
        return self._mounts[-1][1], path

    def _mounted_paths(self) -> list[str]:
        return [
            f"{directory}/{name}"
            for directory, volume in self._mounts[:-1]
            for name in volume.paths()
            if name
        ]

    def _mounted_directories(self) -> list[str]:
        return [
            f"{directory}/{name}"
            for directory, volume in self._mounts[:-1]
            for name in tuple(volume.directories)
        ]

    def _all_paths(self) -> list[str]:
        return [*self._mounts[-1][1].paths(), *self._mounted_paths()]

    def _add_parents(self, path: str) -> None:
        parent = posixpath.dirname(path)
        while parent not in self._directories:
            self._directories.add(parent)
            parent = posixpath.dirname(parent)


def _ends(path: str) -> list[int]:
    """Return where the path and each of its parents end.

    >>> [("a/b/c")[:end] for end in _ends("a/b/c")]
    ['a', 'a/b', 'a/b/c']
    """
    return [*(i for i, letter in enumerate(path) if letter == "/"), len(path)]
