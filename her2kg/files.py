"""Write a file or a folder in one step, so that a reader never sees half of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target` to write to; it takes the target's name at the end.

    If the block fails, the temporary file is removed and the target stays as it was.
    """
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_text(target: Path, text: str) -> None:
    """Write UTF-8 text to a file in one step, with the line ends that the text has."""
    with replacing(target) as temporary:
        temporary.write_bytes(text.encode())


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside `target` to fill; it takes the target's place at the end.

    If the block fails, the temporary folder is removed and the target stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        os.chmod(temporary, 0o755)
        yield temporary
        if target.exists():
            before = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
            os.replace(target, before)
            try:
                os.replace(temporary, target)
            except BaseException:
                os.replace(before, target)
                raise
            shutil.rmtree(before)
        else:
            os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
