"""Checkpoints that were forged: claims of any kind in a file that looks right are refused."""

import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch

from pose_obj_3d.common.errors import CheckpointError
from pose_obj_3d.training.checkpoints import store as checkpoints


class Storage:
    """Pickles as a reference to a storage of any claim."""

    def __init__(self, *claim):
        self.claim = claim


class Tensor:
    """Pickles as a tensor of any claim."""

    def __init__(self, *claim):
        self.claim = claim

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.claim


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.claim if isinstance(obj, Storage) else None


def forged(path, content, extra=(), data=bytes(48)):
    with zipfile.ZipFile(path, "w") as archive, archive.open("archive/data.pkl", "w") as member:
        Pickler(member, 2).dump(content)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/data/0", data)
        for name, raw in extra:
            archive.writestr(name, raw)
    return path


FLOATS = Storage("storage", torch.FloatStorage, "0", "cpu", 12)
NO_HOOKS = (False, OrderedDict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {
                "a": Tensor(
                    Storage("storage", torch.FloatStorage, "0", "cpu", 10**9),
                    0,
                    (10**9,),
                    (1,),
                    *NO_HOOKS,
                )
            },
            "1000000000 torch.float32 in 48",
        ),
        (
            {
                "a": Tensor(
                    Storage("storage", torch.FloatStorage, "0", "cpu", -1), 0, (1,), (1,), *NO_HOOKS
                )
            },
            "storage of -1",
        ),
        (
            {
                "a": Tensor(
                    Storage("storage", torch.FloatStorage, "7", "cpu", 12), 0, (1,), (1,), *NO_HOOKS
                )
            },
            "'archive/data/7' is missing",
        ),
        (
            {
                "a": Tensor(
                    Storage("storage", torch.FloatStorage, "../x", "cpu", 12),
                    0,
                    (1,),
                    (1,),
                    *NO_HOOKS,
                )
            },
            "is missing",
        ),
        (
            {
                "a": Tensor(
                    Storage("storage", OrderedDict, "0", "cpu", 12), 0, (1,), (1,), *NO_HOOKS
                )
            },
            "unknown kind",
        ),
        (
            {
                "a": Tensor(
                    Storage("module", torch.FloatStorage, "0", "cpu", 12), 0, (1,), (1,), *NO_HOOKS
                )
            },
            "unknown kind",
        ),
        ({"a": Tensor(FLOATS, 0, (13,), (1,), *NO_HOOKS)}, "reaches beyond its storage"),
        ({"a": Tensor(FLOATS, 11, (2,), (1,), *NO_HOOKS)}, "reaches beyond its storage"),
        ({"a": Tensor(FLOATS, 0, (2, 2), (100, 1), *NO_HOOKS)}, "reaches beyond its storage"),
        ({"a": Tensor(FLOATS, 0, (10**6, 10**6), (0, 0), *NO_HOOKS)}, "reaches beyond its storage"),
        ({"a": Tensor(FLOATS, 0, (2,), (-1,), *NO_HOOKS)}, "impossible size"),
        ({"a": Tensor(FLOATS, -1, (2,), (1,), *NO_HOOKS)}, "impossible size"),
        ({"a": Tensor(FLOATS, 0, (2, 2), (1,), *NO_HOOKS)}, "impossible size"),
        ({"a": Tensor(FLOATS, 0, (1,) * 40, (1,) * 40, *NO_HOOKS)}, "impossible size"),
        ({"a": Tensor(FLOATS, 0, "size", (1,), *NO_HOOKS)}, "without storage, offset"),
        ({"a": Tensor(3, 0, (1,), (1,), *NO_HOOKS)}, "without storage, offset"),
        ({"a": Tensor()}, "arguments that do not fit"),
        ({"a": torch.FloatStorage}, "it holds Named"),
        ({"a": print}, "asks for"),
        (3, "it holds int"),
        ([], "it holds list"),
    ],
)
def test_forged_tensors(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=f"not a readable checkpoint.*{message}"):
        checkpoints.load(forged(tmp_path / "a.pt", content))


@pytest.mark.parametrize(
    ("extra", "data", "message"),
    [
        ([("archive/other", b"x")], bytes(48), "member 'archive/other', which no checkpoint has"),
        ([("second/version", b"x")], bytes(48), "2 folders"),
        ([("archive/data/1", bytes(10**8))], bytes(48), "unpack to 95 MiB"),
    ],
)
def test_forged_archives(tmp_path, extra, data, message):
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(forged(tmp_path / "a.pt", {"a": 1}, extra, data))


@pytest.mark.slow
def test_parts_named_in_each_other_are_counted(tmp_path):
    bomb = ["x"] * 10
    for _ in range(12):
        bomb = [bomb] * 10
    with pytest.raises(CheckpointError, match="more than 1000000 values"):
        checkpoints.load(forged(tmp_path / "a.pt", {"a": bomb}))
    loop = []
    loop.append(loop)
    with pytest.raises(CheckpointError, match="nests more than 20"):
        checkpoints.load(forged(tmp_path / "a.pt", {"a": loop}))
