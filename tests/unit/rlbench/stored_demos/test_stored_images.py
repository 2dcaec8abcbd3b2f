"""Images of stored demonstrations are read when they are first used."""

import copy
import pickle

import numpy as np
import pytest
from PIL import Image

from rlbench.noise_model import GaussianNoise
from rlbench.observation_config import CameraConfig, ObservationConfig
from rlbench.stored_demos import images
from rlbench.utils import get_stored_demos
from tests.unit.rlbench.stored_demos.upstream_files import (
    FRAMES,
    HEIGHT,
    WIDTH,
    dumped,
    upstream_demo,
    write_episode,
)


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that were opened as images."""
    names = []
    honest = Image.open

    def counted(path):
        names.append(f"{path.parent.name}/{path.name}")
        return honest(path)

    monkeypatch.setattr(images.Image, "open", counted)
    return names


@pytest.fixture
def root(tmp_path):
    whole, classes = upstream_demo()
    folder = tmp_path / "reach_target" / "variation2" / "episodes" / "episode0"
    write_episode(folder, dumped(whole, classes))
    return tmp_path


def read(root, **settings):
    camera = CameraConfig(image_size=(WIDTH, HEIGHT), **settings)
    config = ObservationConfig(front_camera=camera)
    return get_stored_demos(1, False, root, 2, "reach_target", config)[0]


def test_only_what_is_looked_at_is_read_and_once(root, opened):
    demo = read(root)
    assert opened == []
    first = demo[1].front_rgb
    assert opened == ["front_rgb/1.png"]
    assert demo[1].front_rgb is first
    assert demo[1].images["front"].rgb is first
    assert len(opened) == 1


def test_an_image_that_is_set_is_not_read(root, opened):
    obs = read(root)[0]
    obs.front_depth = None
    assert obs.front_depth is None
    assert opened == []


def test_pickles_and_copies_hold_images(root):
    obs = read(root)[0]
    again = pickle.loads(pickle.dumps(obs))  # noqa: S301 - written here
    deep = copy.deepcopy(obs)
    for kind in ("rgb", "depth", "mask", "point_cloud"):
        image = getattr(obs, f"front_{kind}")
        assert np.array_equal(getattr(again, f"front_{kind}"), image)
        assert np.array_equal(getattr(deep, f"front_{kind}"), image)


def test_what_was_asked_for_stays_what_is_read(root):
    config = ObservationConfig(front_camera=CameraConfig(image_size=(WIDTH, HEIGHT)))
    demo = get_stored_demos(1, False, root, 2, "reach_target", config)[0]
    config.front_camera.image_size = (3, 3)
    config.front_camera.masks_as_one_channel = False
    assert demo[0].front_mask.shape == (HEIGHT, WIDTH)


def test_noise_of_depth_is_drawn_in_order(root, opened):
    demo = read(root, depth_noise=GaussianNoise(0.01))
    assert opened == [f"front_depth/{i}.png" for i in range(FRAMES)]
    noisy = [obs.front_depth for obs in demo]
    exact = [obs.front_depth for obs in read(root)]
    assert not np.array_equal(noisy[0], exact[0])
