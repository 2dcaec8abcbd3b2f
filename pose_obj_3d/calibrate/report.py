"""The report of a calibration: as text, Markdown and JSON."""

import json
from dataclasses import asdict
from pathlib import Path

from pose_obj_3d.calibrate.calibrating import Calibrated
from pose_obj_3d.calibrate.quality import Lengths
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.evaluation.report import aligned, markdown_table

PICTURE = "calibration.png"
_NOTES = """\
- *Fit*: distance between a corner and its projection, in the frames that were used.
- *Left out*: the same distance in frames that were not used. The other cameras say where the board is. Trust this number most.
- *Halves*: how much two calibrations differ, each from every second frame.
- *sd*: standard deviation from the normal equations. It assumes that the errors of corners are independent; half the difference of the halves is the safer number where it is larger.
- Positions and orientations are relative to the first camera.
"""  # noqa: E501 - paragraphs of Markdown


def _cell(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def fit_rows(found: Calibrated) -> list[list[str]]:
    """Return header and a row for each camera: how well it fits."""
    header = ["camera", "sightings", "corners", "covered [%]", "tilt [deg]", "fit [px]: median"]
    rows = [[*header, "95 %", "rms", "left out [px]: median", "95 %"]]
    for c in found.quality.cameras:
        counts = [f"{c.sightings} of {c.pictures}", str(c.corners)]
        counts += [_cell(c.covered, 0), _cell(c.tilt_deg, 0)]
        numbers = (c.median_px, c.p95_px, c.rms_px, c.left_out_median_px, c.left_out_p95_px)
        rows.append([c.name, *counts, *(_cell(x) for x in numbers)])
    return rows


def known_rows(found: Calibrated) -> list[list[str]]:
    """Return header and a row for each camera: what it is, and how well that is known."""
    header = ["camera", "fx [px]", "fy [px]", "sd [%]", "halves [%]", "lens"]
    rows = [[*header, "position sd [mm]", "halves [mm]", "orientation sd [deg]"]]
    for c, kind in zip(found.quality.cameras, found.cameras.kinds, strict=True):
        rows.append(
            [
                c.name,
                *(_cell(x, 1) for x in c.focal_px),
                *(_cell(x) for x in (c.focal_sd, c.halves_focal)),
                kind,
                *(_cell(x) for x in (c.position_sd_mm, c.halves_mm)),
                _cell(c.angle_sd_deg, 3),
            ]
        )
    return rows


def length_rows(found: Calibrated) -> list[list[str]]:
    """Return header and a row for each kind of length; none where nothing was measured."""
    kinds: list[tuple[str, Lengths | None]] = [
        ("sides of squares", found.quality.neighbours),
        ("half the board and more", found.quality.far),
    ]
    rows = [
        [name, str(x.count)]
        + [_cell(v) for v in (x.length_mm, x.bias_mm, x.bias, x.median_mm, x.p95_mm)]
        for name, x in kinds
        if x is not None
    ]
    header = ["distances", "number", "length [mm]", "mean error [mm]", "[%]", "median size [mm]"]
    return [[*header, "95 % [mm]"], *rows] if rows else []


def markdown(found: Calibrated, unit: str, world: str, picture: bool) -> str:
    """Return `report.md`."""
    quality = found.quality
    used = f"{len(quality.cameras)} cameras, {quality.frames} frames, board `{found.board}`"
    parts = ["# Calibration\n", f"{used}. Lengths in {unit}; world: {world}.\n"]
    if quality.warnings:
        parts += ["## Warnings\n", "".join(f"- {line}\n" for line in quality.warnings)]
    parts += ["## Fit\n", markdown_table(fit_rows(found))]
    parts += ["## Cameras\n", markdown_table(known_rows(found)), _NOTES]
    if len(quality.cameras) > 1:
        rows = [["cameras", "frames in common"]]
        rows += [[f"{a}, {b}", str(count)] for a, b, count in quality.common]
        parts += ["## Frames in common\n", markdown_table(rows)]
    if lengths := length_rows(found):
        parts += [
            "## Lengths on the board\n",
            "Corners are triangulated in frames that were not used, without knowing the board, and"
            " the distances between them are compared with the true ones.\n",
            markdown_table(lengths),
        ]
    if quality.notes:
        parts += ["## Notes\n", "".join(f"- {line}\n" for line in quality.notes)]
    if picture:
        parts += [f"![Corners with residuals, coverage, and cameras]({PICTURE})\n"]
    return "\n".join(parts)


def summary(found: Calibrated) -> str:
    """Return what the command prints."""
    quality = found.quality
    parts = [aligned(fit_rows(found)), "", aligned(known_rows(found))]
    if lengths := length_rows(found):
        parts += ["", aligned(lengths)]
    parts += [f"warning: {line}" for line in quality.warnings]
    parts += [f"note: {line}" for line in quality.notes]
    return "\n".join(parts)


def write(out: Path, found: Calibrated, unit: str, world: str, picture: bool) -> None:
    """Write `report.md` and `report.json`."""
    plain = {
        "board": str(found.board),
        "units": unit,
        "world": world,
        **asdict(found.quality),
    }
    write_whole(out / "report.json", f"{json.dumps(plain, indent=1)}\n".encode())
    write_whole(out / "report.md", markdown(found, unit, world, picture).encode())
