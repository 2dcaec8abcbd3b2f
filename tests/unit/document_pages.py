"""The pages of README and docs/: their fences, their inline code, their links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
]
RUN = ("bash", "python")
"""Languages of blocks that are run, unless they are marked."""
MARKS = ("not run", "file", "tested")
"""What a comment before a block may say, each followed by a colon and text."""

_MARK = re.compile(r"<!-- ([a-z ]+): (.+) -->")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Fence:
    """One fenced block.

    Attributes:
        language: what stands behind the opening fence.
        text: its lines.
        mark: one of `MARKS`, or None.
        note: what the mark says.
        line: number of the opening fence in its page.
    """

    language: str
    text: str
    mark: str | None
    note: str
    line: int


def fences(page: Path) -> list[Fence]:
    """Return the fenced blocks of a page, in order."""
    found: list[Fence] = []
    opened, before = None, ""
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            if opened is None:
                opened, lines = (line.strip()[3:], number), []
                mark = _MARK.fullmatch(before.strip())
            else:
                kind, note = mark.groups() if mark else (None, "")
                found.append(Fence(opened[0], "\n".join(lines) + "\n", kind, note, opened[1]))
                opened = None
        elif opened is not None:
            lines.append(line)
        before = line
    assert opened is None, f"{page.name}: the block of line {opened} is not closed"
    return found


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"(?ms)^\s*```.*?^\s*```\s*?$", "", page.read_text(encoding="utf-8"))


def inline_code(text: str) -> set[str]:
    """Return what stands between single backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@dataclass(frozen=True)
class Command:
    """One documented call of a program of this project.

    Attributes:
        page: where it stands.
        folder: folder it is called in.
        program: `-m module`, or a script's path relative to `folder`.
        flags: what it is given that begins with two dashes.
    """

    page: str
    folder: Path
    program: str
    flags: tuple[str, ...]


_CALL = re.compile(
    r"(?:^|&& |; )(?:[A-Z_]+=\S+ )*(?:(?:python3?|sh|bash) )(-m [\w.]+|[\w./]+\.(?:py|sh))(.*)$"
)


def commands(page: Path) -> list[Command]:
    """Return the calls of programs in a page's shell blocks."""
    found = []
    for fence in fences(page):
        if fence.language != "bash":
            continue
        folder = ROOT
        for line in fence.text.splitlines():
            entered = re.match(r"cd (\S+)", line)
            if entered:
                folder = folder / entered[1]
            call = _CALL.search(line.split("  #")[0])
            if call:
                flags = tuple(re.findall(r"(?<=\s)--[\w-]+", call[2]))
                found.append(Command(page.name, folder, call[1], flags))
    return found
