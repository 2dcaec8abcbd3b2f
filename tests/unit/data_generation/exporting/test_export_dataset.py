"""The command: bad input, the same bytes each time, going on after a kill."""

import json
import shutil
import sys

import pytest

from data_generation.RLBench.exporting import run as export_run

LEROBOT = ("--to", "lerobot", "--images", "png")
FORMATS = {"lerobot": ("pyarrow", LEROBOT), "robomimic": ("h5py", ("--to", "robomimic"))}
FORMATS["rlbench"] = ("numpy", ("--to", "rlbench"))


@pytest.fixture(params=FORMATS)
def flags(request):
    package, flags = FORMATS[request.param]
    pytest.importorskip(package, reason=f"{package} is an optional package")
    return flags


def cut(monkeypatch, after):
    """Let the run end like a killed one, before an episode."""
    read = export_run.read_episode

    def until(store, facts, action):
        if facts.number == after:
            raise KeyboardInterrupt
        return read(store, facts, action)

    monkeypatch.setattr(export_run, "read_episode", until)


def test_a_run_goes_on_and_gives_the_same_bytes(
    export, store, tmp_path, monkeypatch, flags, content
):
    assert export(store.root, *flags, "--output", tmp_path / "whole")[0] == 0
    with monkeypatch.context() as patch:
        cut(patch, after=2)
        with pytest.raises(KeyboardInterrupt):
            export(store.root, *flags, "--output", tmp_path / "cut")
    assert json.loads((tmp_path / "cut" / "export.json").read_text())["is_complete"] is False
    assert not (tmp_path / "cut" / "meta").exists()
    code, said = export(store.root, *flags, "--output", tmp_path / "cut")
    assert code == 0
    assert "(2 episodes written now)" in said
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert "(0 episodes written now)" in export(store.root, *flags, "--output", tmp_path / "cut")[1]


def test_a_kill_while_parts_are_joined_loses_nothing(
    export, store, tmp_path, monkeypatch, flags, content
):
    assert export(store.root, *flags, "--output", tmp_path / "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(export_run.ExportFolder, "finish", lambda _: sys.exit(9))
        with pytest.raises(SystemExit):
            export(store.root, *flags, "--output", tmp_path / "cut")
    assert export(store.root, *flags, "--output", tmp_path / "cut")[0] == 0
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_overwrite_removes_the_export_and_nothing_else(export, store, tmp_path, flags, content):
    output = ("--output", tmp_path / "out")
    assert export(store.root, *flags, *output, "--tasks", 0)[0] == 0
    (tmp_path / "out" / "notes.txt").write_text("mine")
    code, said = export(store.root, *flags, *output)
    assert code == 2
    assert "--overwrite" in said
    assert export(store.root, *flags, *output, "--overwrite")[0] == 0
    assert export(store.root, *flags, "--output", tmp_path / "fresh")[0] == 0
    found = content(tmp_path / "out")
    assert found.pop("notes.txt") == b"mine"
    assert found == content(tmp_path / "fresh")


def refused(said, *parts):
    """Check that the message is one short line with some parts."""
    assert len(said.splitlines()) == 1
    assert len(said) < 500
    for part in parts:
        assert part in said, said


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (("--to", "rlbench", "--images", "video"), "allowed: png"),
        (("--to", "rlbench", "--action", "abs_ee_pose"), "it has abs_joint_position"),
        (("--to", "rlbench", "--tasks", "7"), "tasks with episodes: 0, 9"),
        (("--to", "rlbench", "--mode", "test"), "run generate_data.py first"),
        (("--to", "rlbench", "--depth"), "--depth is for"),
        (("--to", "lerobot", "--crf", "52"), "it must be 0 (best) to 51"),
    ],
)
def test_bad_flags(export, store, tmp_path, argv, part):
    code, said = export(store.root, *argv, "--output", tmp_path / "out")
    assert code == 2
    refused(said, part)
    assert not (tmp_path / "out").exists()


def test_an_unknown_format(export, store, capsys):
    with pytest.raises(SystemExit) as ended:
        export(store.root, "--to", "zarr")
    assert ended.value.code == 2
    refused(capsys.readouterr().err, "'lerobot', 'robomimic', 'rlbench'")


def test_folders_that_are_none(export, store, tmp_path):
    refused(export(tmp_path / "nothing", "--to", "rlbench")[1], "not found")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    refused(export(tmp_path / "other", "--to", "rlbench")[1], "is not a data set")
    for output, part in ((tmp_path / "other", "no export"), (tmp_path / "other/file", "a file")):
        code, said = export(store.root, "--to", "rlbench", "--output", output)
        assert code == 2
        refused(said.splitlines()[-1], part)


def test_no_images(export, make_data_set, tmp_path):
    store = make_data_set(tmp_path / "data", cams=())
    refused(export(store.root, "--to", "rlbench")[1], "has no images", "cams")
    refused(export(store.root, "--to", "lerobot")[1], "--images none")
    pytest.importorskip("pyarrow", reason="pyarrow is an optional package")
    assert export(store.root, "--to", "lerobot", "--images", "none")[0] == 0


def test_earlier_data_sets_have_no_joints(export, make_data_set, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is an optional package")
    store = make_data_set(tmp_path / "data", with_states=False)
    assert export(store.root, *LEROBOT)[0] == 0
    info = json.loads((tmp_path / "data_lerobot" / "meta" / "info.json").read_text())
    assert info["features"]["observation.state"]["names"][:3] == ["x", "y", "z"]


@pytest.mark.parametrize(("to", "module"), [("lerobot", "pyarrow.parquet"), ("robomimic", "h5py")])
def test_a_missing_package(export, store, tmp_path, monkeypatch, to, module):
    package = module.partition(".")[0]
    monkeypatch.setitem(sys.modules, module, None)
    code, said = export(store.root, "--to", to, "--output", tmp_path / "out")
    assert code == 2
    refused(said, f"package {package} is not installed", f"pip install -e '.[{to}]'")
    assert not (tmp_path / "out").exists()


def test_unfinished_exports_of_others(export, store, tmp_path, monkeypatch):
    output = ("--to", "rlbench", "--output", tmp_path / "out")
    with monkeypatch.context() as patch:
        cut(patch, after=1)
        with pytest.raises(KeyboardInterrupt):
            export(store.root, *output)
    other = shutil.copytree(store.root, tmp_path / "copy" / "data")
    record = next(other.glob("train/9/episodes/*/*/episode.json"))
    fresh = json.loads(record.read_text())
    del fresh["checksum"]
    from data_generation.RLBench.raw.records import signed  # noqa: PLC0415

    record.write_bytes(signed({**fresh, "attempt": 5}))
    refused(export(other, *output)[1].splitlines()[-1], "unfinished export of other demonstrations")
    marker = tmp_path / "out" / "export.json"
    marker.write_text(marker.read_text().replace('"format_version": 1', '"format_version": 7'))
    refused(export(store.root, *output)[1].splitlines()[-1], "unfinished export of version 7")


def test_a_damaged_episode_is_named(export, make_data_set, tmp_path):
    store = make_data_set(tmp_path / "data")
    image = store.image_path(store.episodes(9)[0], "front", "rgb", 1)
    image.write_bytes(image.read_bytes()[:-1])
    code, said = export(store.root, "--to", "rlbench")
    assert code == 2
    refused(said.splitlines()[-1], "task 9", image.name, "damaged")
