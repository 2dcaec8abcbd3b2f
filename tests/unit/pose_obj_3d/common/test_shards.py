"""Archives in shards: the same content for any number of them, and one clear line for a fault."""

import shutil

import numpy as np
import pytest

from pose_obj_3d.common.archive.shards import archive_sha256, shard_path
from pose_obj_3d.common.errors import FormalError
from pose_obj_3d.formal import Sharding, read_formal, tasks_in, write_formal
from pose_obj_3d.training.data_files import find_data
from tests.unit.pose_obj_3d.synthetic import write_scene


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a.npz"
    write_scene(path)
    return read_formal(path)


def write(data, folder, shards, processes=1, **changes):
    path = folder / "a.npz"
    meta = {**data.meta, **changes}
    write_formal(
        path,
        data.tracks,
        meta,
        data.intrinsics,
        data.extrinsics,
        sharding=Sharding(shards, processes),
    )
    return path


def assert_same(a, b):
    assert a.meta == b.meta
    assert a.tracks.keys() == b.tracks.keys()
    for task, examples in a.tracks.items():
        assert len(examples) == len(b.tracks[task])
        for x, y in zip(examples, b.tracks[task], strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("memory_mib", [0, 100])
def test_content_is_the_same_for_any_number_of_shards(whole, tmp_path, memory_mib):
    for shards in (1, 3, 100):  # more than there are examples
        path = write(whole, tmp_path, shards)
        assert len(list(tmp_path.iterdir())) == shards
        assert_same(whole, read_formal(path, memory_mib))
        assert_same(whole, read_formal(shard_path(path, shards - 1, shards), memory_mib))
        assert tasks_in(path) == sorted(whole.tracks)


def test_processes_change_no_byte(whole, tmp_path):
    digests = []
    for processes in (1, 2):
        path = write(whole, tmp_path, 2, processes)
        digests.append(archive_sha256(path))
    assert digests[0] == digests[1]


def test_what_is_read_bit_by_bit_is_written_by_one_process(whole, tmp_path, caplog):
    """Other processes cannot have an open archive; a pool would wait for them forever."""
    (tmp_path / "lazy").mkdir()
    lazy = read_formal(write(whole, tmp_path, 2), memory_mib=0)
    with caplog.at_level("INFO"):
        path = write(lazy, tmp_path / "lazy", 2, processes=2)
    assert "one process writes all shards" in caplog.text
    assert_same(whole, read_formal(path))


def test_training_finds_shards_by_folder_whole_and_shard(whole, tmp_path):
    path = write(whole, tmp_path, 2)
    for name in (tmp_path, path, shard_path(path, 0, 2)):
        assert find_data(str(name), tmp_path / "c.yaml", sorted(whole.tracks)) == path


def test_one_file_takes_the_place_of_shards(whole, tmp_path):
    path = write(whole, tmp_path, 2)
    write(whole, tmp_path, 0)
    assert list(tmp_path.iterdir()) == [path]


def test_missing_shard_is_named(whole, tmp_path):
    path = write(whole, tmp_path, 3)
    shard_path(path, 1, 3).unlink()
    with pytest.raises(FormalError, match=r"a-00001-of-00003\.npz is missing, 2 of 3"):
        read_formal(path)


def test_shard_of_another_archive_is_named(whole, tmp_path):
    path = write(whole, tmp_path, 2)
    kept = tmp_path / "kept"
    shutil.copy(shard_path(path, 1, 2), kept)
    write(whole, tmp_path, 2, source_seeds={"seed": 1})
    shutil.copy(kept, shard_path(path, 1, 2))
    with pytest.raises(FormalError, match=r"a-00001-of-00002\.npz: it belongs to another archive"):
        read_formal(path)


def test_renamed_shard_is_named(whole, tmp_path):
    path = write(whole, tmp_path, 2)
    shutil.copy(shard_path(path, 0, 2), shard_path(path, 1, 2))
    with pytest.raises(FormalError, match=r"00001-of-00002\.npz: by its content it is not shard 1"):
        read_formal(path)


def test_shards_beside_one_file_or_other_shards_are_refused(whole, tmp_path):
    path = write(whole, tmp_path, 2)
    shutil.copy(shard_path(path, 0, 2), shard_path(path, 0, 3))
    with pytest.raises(FormalError, match="shards of 2 and of 3"):
        read_formal(path)
    shard_path(path, 0, 3).unlink()
    path.write_bytes(b"")
    with pytest.raises(FormalError, match="in one file and in shards"):
        read_formal(path)


def test_damage_is_found_when_an_example_is_read(whole, tmp_path):
    path = write(whole, tmp_path, 2)
    part = shard_path(path, 1, 2)
    raw = bytearray(part.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    part.write_bytes(raw)
    data = read_formal(path, memory_mib=0)
    with pytest.raises(FormalError, match="not a readable npz archive"):
        [list(examples) for examples in data.tracks.values()]
