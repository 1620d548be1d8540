"""Files that never are half written, and folders that two runs never use at once."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.errors import UserError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file; a failure or a kill leaves the old one as it was."""
    if isinstance(content, str):
        content = content.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a failing write does not say of what
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path``, with its suffix, for a writer; the file takes its place in the end.

    A failure leaves the old file as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem[:40]}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def disk_full(error: OSError) -> str | None:
    """What a person has to do if the error is that there is no space, in one line."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None
    place = f"{error.filename}: " if error.filename else ""
    return (
        f"{place}{os.strerror(error.errno).lower()}; make room and run the same command again:"
        " what is finished is kept"
    )


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; a run that dies lets go of it.

    Raises
    ------
    UserError
        If another run is there; the message says which.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / ".holder"
    try:
        # The operating system's lock: it ends with its process.
        with FileLock(folder / ".lock", blocking=False):
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            text = f"process {os.getpid()} on {socket.gethostname()}, which began at {now}"
            write_atomically(holder, text)
            yield
    except Timeout:
        other = holder.read_text(encoding="utf-8") if holder.is_file() else "another run"
        raise UserError(
            f"results: {folder} is in use by {other}; wait for its end or stop it, then run the"
            " same command again, or give another folder"
        ) from None


def slug(text: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", text).strip("_")
