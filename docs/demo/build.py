"""Assemble the demo in a folder to serve: python docs/demo/build.py OUT && python -m http.server -d OUT

OUT gets the page, the agents and numasync's sources as one zip. With --pyodide it also gets Pyodide and NumPy, and then
needs no other server. Otherwise the page loads them from the network.
"""

import argparse
import json
import shutil
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "numasync"
CDN = "https://cdn.jsdelivr.net/pyodide/v314.0.3/full/"
PAGE = ("*.html", "*.css", "*.js", "demo.py")
PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
# The same sources give the same file: no member has a date.
DATE = (1980, 1, 1, 0, 0, 0)


def build(out: Path, pyodide: Path | None = None) -> None:
    """Fill the folder `out`. What it has of an earlier build is replaced.

    pyodide  a folder with PYODIDE and the wheel of NumPy, which is copied to out/vendor; None: an earlier copy stays

    Raises ValueError where that folder lacks a file.
    """
    vendored = None if pyodide is None else files_of(pyodide)  # before anything is written
    (out / "agents").mkdir(parents=True, exist_ok=True)
    for pattern in PAGE:
        for path in HERE.glob(pattern):
            shutil.copyfile(path, out / path.name)
    agents = sorted(HERE.glob("agents/*.npz"))
    for path in agents:
        shutil.copyfile(path, out / "agents" / path.name)
    zip_package(out / "numasync.zip")
    if vendored:
        (out / "vendor").mkdir(exist_ok=True)
        for path in vendored:
            shutil.copyfile(path, out / "vendor" / path.name)
    source = "vendor/" if (out / "vendor").is_dir() else CDN
    settings = {"pyodide": source, "agents": [path.name for path in agents]}
    (out / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")


def files_of(pyodide: Path) -> list[Path]:
    """Return the files of Pyodide that the page loads, with the wheel of NumPy that its lock file names."""
    lock = pyodide / "pyodide-lock.json"
    if not lock.is_file():
        raise ValueError(f"{pyodide} has no pyodide-lock.json; name a folder with the files of Pyodide.")
    wheel = json.loads(lock.read_text())["packages"]["numpy"]["file_name"]
    paths = [pyodide / name for name in (*PYODIDE, wheel)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ValueError(f"{pyodide} lacks {', '.join(missing)}; {CDN} has the files.")
    return paths


def zip_package(path: Path) -> None:
    """Write the Python files of numasync into one zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(PACKAGE.rglob("*.py")):
            info = zipfile.ZipInfo(source.relative_to(PACKAGE.parent).as_posix(), DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, source.read_bytes())


def main() -> int:
    """Build what the command line says. Return the exit code."""
    parser = argparse.ArgumentParser(description="Assemble numasync's demo in a folder to serve.")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder; it is made if there is none")
    parser.add_argument("--pyodide", type=Path, metavar="FOLDER", help="copy Pyodide and NumPy from this folder")
    options = parser.parse_args()
    try:
        build(options.out, options.pyodide)
    except (ValueError, OSError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
