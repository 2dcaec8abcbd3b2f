"""The page of an inspection: one HTML file that needs nothing else, no network, no script."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from data_generation.RLBench.inspection.charts import histogram, position_map, trimmed
from data_generation.RLBench.tracks.statistics import STATES

MAX_ROWS = 300  # of a table of episodes; statistics.json holds all
NONE = "&ndash;"
Plain = Mapping[str, Any]

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def render(report: Plain, pictures: Mapping[str, bytes]) -> str:
    """Give the page.

    Args:
        report: What `statistics.json` holds.
        pictures: File name -> JPEG or MP4, the ones that could be made.
    """
    title = f"Inspection of {report['data_set']}"
    period = report["frame_period_s"] * 1000
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<div class="faint">{escape(report["kind"])}, {period:g} ms a frame</div>',
        f"<p>{_verdict(report)}</p>",
        *(f'<p class="faint">{escape(note)}</p>' for note in report["notes"]),
        _overview(report),
        _episodes(
            "Damage",
            report["damage"],
            ("section", "episode", "file", "what"),
            "Nothing is damaged.",
        ),
        _episodes(
            "Suspicious episodes",
            report["suspicious"],
            ("section", "episode", "reason", "detail"),
            "No episode is suspicious.",
            _bounds(report["bounds"]),
        ),
        *(_section(s, report, pictures) for s in report["sections"] if s["examples"]),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport"'
        f' content="width=device-width"><title>{escape(title)}</title>'
    )
    return (
        "<!DOCTYPE html>\n<html"
        f' lang="en"><head>{head}<style>\n{STYLE}</style></head>\n<body><main>\n'
        f"{chr(10).join(body)}\n</main></body></html>\n"
    )


def _verdict(report: Plain) -> str:
    n_damaged, n_odd = len(report["damage"]), len(report["suspicious"])
    marks = [("bad", f"{n_damaged} damaged")] if n_damaged else [("good", "no damage")]
    marks += [("odd", f"{n_odd} suspicious")] if n_odd else [("good", "nothing suspicious")]
    return " ".join(f'<span class="verdict {style}">{text}</span>' for style, text in marks)


def _bounds(bounds: Plain) -> str:
    low, high = (
        ", ".join(f"{v:g}" for v in bounds[key]) for key in ("volume_low_m", "volume_high_m")
    )
    return (
        f"Jump: more than {bounds['max_step_m']:g} m between frames. Volume: ({low}) to ({high}) m."
        f" Static: never above {bounds['moving_m_per_s'] * 1000:g} mm/s. 2D: more than"
        f" {bounds['max_reprojection_px']:g} px from the projected 3D."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], n_text: int = 1) -> str:
    """Give a table of cells that are HTML already; the first `n_text` columns hold text."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=t' if i < n_text else ''}>{c}</{tag}>" for i, c in enumerate(row)
        )

    lines = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>\n{lines}</table>"


def _name(name: str) -> str:
    """Give a name that may go on in a new line after "/" and "_"."""
    return escape(name).replace("/", "/<wbr>").replace("_", "_<wbr>")


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def _number(value: float | None, digits: int = 1, factor: float = 1) -> str:
    return NONE if value is None else f"{value * factor:.{digits}f}"


def _overview(report: Plain) -> str:
    head = (
        "task",
        "examples",
        "variations",
        "frames",
        "min",
        "median",
        "max",
        "moving %",
        "in 2+ images %",
        "seen by 2+ views %",
        "detection rms px",
        "missed %",
        "damaged",
        "suspicious",
    )
    rows = []
    for s in report["sections"]:
        label = escape(s["label"])
        counts = [
            str(sum(d["section"] == s["label"] for d in report[kind]))
            for kind in ("damage", "suspicious")
        ]
        if not s["examples"]:
            rows.append([label, "0", *[NONE] * 10, *counts])
            continue
        frames = s["frames"]
        rows.append(
            [
                f'<a href="#{escape(s["stem"])}">{label}</a> {_name(s["task_name"])}',
                str(s["examples"]),
                str(len(s["variations"]) or NONE),
                str(frames["total"]),
                str(frames["min"]),
                f"{frames['median']:g}",
                str(frames["max"]),
                *(
                    _percent(s[k])
                    for k in ("share_moving", "share_inside_two_views", "share_seen_in_two_views")
                ),
                _number(s["detection_rms_px"], 2),
                _percent(s["share_missed"]),
                *counts,
            ]
        )
    return f"<section><h2>Tasks</h2>{_table(head, rows)}</section>"


def _episodes(
    title: str, found: Sequence[Plain], columns: Sequence[str], nothing: str, note: str = ""
) -> str:
    head = "".join(f'<th class="t">{escape(c if c != "section" else "task")}</th>' for c in columns)
    rows = "\n".join(
        f"<tr>{''.join(f'<td class=w>{escape(str(row[c]))}</td>' for c in columns)}</tr>"
        for row in found[:MAX_ROWS]
    )
    more = len(found) - MAX_ROWS
    rest = f'<p class="faint">{more} more in statistics.json</p>' if more > 0 else ""
    table = f"<table><tr>{head}</tr>\n{rows}</table>{rest}" if found else f"<p>{nothing}</p>"
    about = f'<p class="faint">{escape(note)}</p>' if note else ""
    return f"<section><h2>{title}</h2>{about}{table}</section>"


def _section(s: Plain, report: Plain, pictures: Mapping[str, bytes]) -> str:
    names = [f"{s['stem']}.jpg", f"{s['stem']}.mp4"]
    shown = "".join(_picture(name, pictures[name]) for name in names if name in pictures)
    variations = s["variations"]
    spread = ", ".join(f"{v}: {n}" for v, n in list(variations.items())[:40])
    about = (
        f'<p class="faint">Examples of each variation: {escape(spread)}</p>' if variations else ""
    )
    return (
        f'<section id="{escape(s["stem"])}"><h2>{escape(s["label"])}'
        f" {escape(s['task_name'])}</h2>{about}"
        f"{shown or '<p>No example could be drawn.</p>'}"
        f"<h3>Keypoints</h3>{_legend()}{_keypoints(s)}<h3>Groups and views</h3>{_groups(s)}"
        f"<h3>Distributions</h3>{_charts(s, report)}</section>"
    )


def _picture(name: str, data: bytes) -> str:
    content = base64.b64encode(data).decode()
    if name.endswith(".mp4"):
        return (
            f'<p><video title="{escape(name)}" controls autoplay loop muted playsinline'
            f' src="data:video/mp4;base64,{content}"></video></p>'
        )
    return f'<p><img alt="{escape(name)}" src="data:image/jpeg;base64,{content}"></p>'


def _legend() -> str:
    words = {"seen": "seen", "hidden": "in the image, hidden", "outside": "outside"}
    keys = (f"<span class=key><span class={s}>&emsp;</span></span> {words[s]}" for s in STATES)
    return f'<p class="faint">% of frames:{"".join(keys)}</p>'


def _bar(shares: Plain) -> str:
    parts = "".join(
        f'<span class="{s}" style="width:{100 * shares[s]:.1f}%"></span>' for s in STATES
    )
    text = " / ".join(f"{100 * shares[s]:.0f}" for s in STATES)
    return f'<span class="bar">{parts}</span>{text}'


def _keypoints(s: Plain) -> str:
    head = (
        "keypoint",
        "moving %",
        "range median mm",
        "range max mm",
        "largest step mm",
        "in 2+ images %",
        "seen by 2+ views %",
        *map(_name, s["cameras"]),
    )
    rows = [
        [
            _name(name),
            _percent(k["share_moving"]),
            _number(k["median_extent_m"], 0, 1000),
            _number(k["max_extent_m"], 0, 1000),
            _number(k["largest_step_m"], 1, 1000),
            _percent(k["share_inside_two_views"]),
            _percent(k["share_seen_in_two_views"]),
            *(_bar(k["views"][c]) for c in s["cameras"]),
        ]
        for name, k in s["keypoints"].items()
    ]
    return _table(head, rows)


def _groups(s: Plain) -> str:
    head = ("", "keypoints", "moving %", "in 2+ images %", "seen by 2+ views %", "visibility")
    keys = ("share_moving", "share_inside_two_views", "share_seen_in_two_views")
    rows = [
        [escape(name), str(g["keypoints"]), *(_percent(g[k]) for k in keys), _bar(g["visibility"])]
        for name, g in s["groups"].items()
    ]
    rows.append(
        ["all", str(len(s["keypoints"])), *(_percent(s[k]) for k in keys), _bar(s["visibility"])]
    )
    rows += [[escape(f"view {name}"), "", "", "", "", _bar(v)] for name, v in s["views"].items()]
    return _table(head, rows)


def _charts(s: Plain, report: Plain) -> str:
    h = s["histograms"]
    charts = [
        histogram("Episode lengths", "frames", **h["frames"]),
        histogram("Speeds of moving keypoints", "m/s", *trimmed(**h["speed_m_per_s"])),
    ]
    if s["detection_rms_px"] is not None:
        label = "detected minus exact, per axis [px]; curve: as stated"
        charts.append(
            histogram("Detection error", label, **h["detection_error_px"], sigma=report["sigma_px"])
        )
    charts.append(position_map(h["position_xy_m"]))
    return "".join(charts)
