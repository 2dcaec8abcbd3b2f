"""Make `import pyrep` mean pyrep_mujoco in this Python environment, or undo it.

python -m pyrep_mujoco.take_over on        from now on, in every process of this environment
python -m pyrep_mujoco.take_over off       as it was before
python -m pyrep_mujoco.take_over status    what `import pyrep` means now; exit status 1: not ours
python -m pyrep_mujoco.take_over path      the folder to add to PYTHONPATH, for one run
"""

from pyrep_mujoco import process_start

if __name__ == "__main__":
    process_start.prepare("take_over", 60)

import argparse
import sys
from pathlib import Path

from pyrep_mujoco.take_over import FOLDER, is_ours, site_files
from pyrep_mujoco.take_over.meaning import Kind, Meaning, Package, meaning

COMMAND = "python -m pyrep_mujoco.take_over"


class _RefusedError(Exception):
    """Nothing was changed, and why."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("do", choices=("on", "off", "status", "path"))
    parser.add_argument(
        "--instead", action="store_true", help="on: also where another `pyrep` is installed"
    )
    args = parser.parse_args(arguments)
    if args.instead and args.do != "on":
        parser.error("--instead goes with on")
    try:
        if args.do == "on":
            return _on(args.instead)
        return {"off": _off, "status": _status, "path": _path}[args.do]()
    except (_RefusedError, RuntimeError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2


def _on(instead: bool) -> int:
    if not (FOLDER / "pyrep" / "__init__.py").is_file():
        raise _RefusedError(f"{FOLDER} lacks the package pyrep: install pyrep_mujoco again")
    before = meaning(with_path_variable=False)
    if not before.simulator:
        raise _RefusedError(
            f"pyrep_mujoco is not installed for {sys.executable}: install it first (pip install "
            f"./RLBench/pyrep_mujoco in the repository), or see `{COMMAND} path`"
        )
    if before.without.kind is not Kind.NONE and not instead:
        raise _RefusedError(_refusal(before.without))
    older = site_files.existing()
    try:
        written = site_files.write(FOLDER, is_first=instead)
    except OSError as error:
        raise _RefusedError(
            f"no site-packages of {sys.executable} can be written ({error.strerror or error}); "
            f"use a virtual environment, or PYTHONPATH: {COMMAND} path"
        ) from None
    for other in older:
        if other.path != written.path:
            other.path.unlink(missing_ok=True)
    after = meaning(with_path_variable=False).pyrep
    if after.kind is not Kind.OURS:
        written.path.unlink(missing_ok=True)
        raise _RefusedError(
            f"`import pyrep` still means {after} with {written.path}, which was removed again; "
            f"use PYTHONPATH: {COMMAND} path"
        )
    has_already = any(old == written for old in older)
    print(f"`import pyrep` {'meant' if has_already else 'now means'} {after} in {sys.prefix}")
    print(f"written: {written.path}; `{COMMAND} off` undoes it")
    return 0


def _refusal(there: Package) -> str:
    if there.kind is Kind.PYREP:
        what = f"PyRep is installed in {there.folder}, and stays what `import pyrep` means"
    else:
        what = (
            f"{there.folder} is another project with the name pyrep (on PyPI, that name is not "
            "PyRep); pip uninstall pyrep removes it, if it came by mistake"
        )
    return f"{what}. Nothing was changed; to have pyrep_mujoco instead: {COMMAND} on --instead"


def _off() -> int:
    removed = list(site_files.remove())
    for path in removed:
        print(f"removed: {path}")
    now = meaning(with_path_variable=True).pyrep
    if now.kind is Kind.OURS:
        why = " (PYTHONPATH names its folder)" if _is_by_variable() else ""
        print(f"`import pyrep` still means {now}{why}")
    elif removed:
        print(f"`import pyrep` now means {now} in {sys.prefix}")
    else:
        print(f"nothing to undo: `import pyrep` means {now} in {sys.prefix}")
    return 0


def _status() -> int:
    now = meaning(with_path_variable=True)
    print(f"`import pyrep` means {now.pyrep} in {sys.prefix}")
    for line in _details(now):
        print(line)
    return 0 if now.pyrep.kind is Kind.OURS else 1


def _details(now: Meaning) -> list[str]:
    lines = [
        f"{file.path} adds {file.folder or 'what cannot be read'}"
        f" {'before' if file.is_first else 'after'} all others"
        + ("" if is_ours(file.folder) and _has_package(file.folder) else ": it has no pyrep")
        for file in site_files.existing()
    ]
    if _is_by_variable():
        lines.append(f"PYTHONPATH names {FOLDER}")
    if now.without.kind is not Kind.NONE and now.pyrep.kind is Kind.OURS:
        lines.append(f"without it: {now.without}")
    lines.append(f"`import pyrep_mujoco` means {now.simulator or 'nothing'}")
    lines.append(f"`import rlbench` means {now.rlbench or 'nothing'}")
    return lines


def _has_package(folder: str) -> bool:
    return (Path(folder) / "pyrep" / "__init__.py").is_file()


def _is_by_variable() -> bool:
    return site_files.is_in_path_variable(FOLDER)


def _path() -> int:
    print(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
