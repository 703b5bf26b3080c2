"""What is in a folder."""

from pathlib import Path


def contents(folder: Path) -> dict[Path, bytes | None]:
    """Return the content of every file below a folder, by path; None for a folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
