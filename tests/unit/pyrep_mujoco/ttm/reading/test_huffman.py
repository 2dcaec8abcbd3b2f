"""Huffman decoding: every code and every alignment gives the bytes back."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrep_mujoco.errors import TtmError
from pyrep_mujoco.ttm.reading import huffman
from tests.unit.pyrep_mujoco.ttm.ttm_files import chain_tree, code_tree, packed


def decoded(raw, size):
    return huffman.decode(raw, size, "test")


def assert_round_trip(content, tree=None):
    assert decoded(packed(content, tree), len(content)) == content


def draws(rng, weights, count):
    share = np.array(list(weights.values()), float)
    values = np.array(list(weights), np.uint8)
    return rng.choice(values, count, p=share / share.sum()).tobytes()


WEIGHTS = {
    "two values": {0: 9, 255: 1},
    "mostly zeros": {0: 1000, **dict.fromkeys(range(1, 256), 1)},
    "text": {value: 1 + (value * 7919) % 97 for value in range(32, 127)},
    "all alike": dict.fromkeys(range(256), 1),
    "steep": {value: 1.6**value for value in range(40)},
}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("count", [2, 3, 1000, 100_000])
def test_round_trip(weights, count):
    content = draws(np.random.default_rng(count), weights, count)
    assert_round_trip(content, code_tree(weights))


def test_codes_up_to_255_bits():
    rng = np.random.default_rng(0)
    tree = chain_tree(list(range(256)))
    assert_round_trip(rng.integers(0, 256, 20_000, np.uint8).tobytes(), tree)
    assert_round_trip(bytes([0, 255] * 20_000), tree)
    assert_round_trip(bytes(40_000) + bytes([17, 18, 255, 254, 253, 16, 15]), tree)


def test_codes_of_255_bits_take_no_longer():
    tree = chain_tree(list(range(256)))
    start = time.process_time()
    assert decoded(packed(bytes([255]) * 4000, tree), 4000) == bytes([255]) * 4000
    assert time.process_time() - start < 2.0


def test_codes_of_some_20_bits():
    rng = np.random.default_rng(1)
    tree = chain_tree(list(range(20)))
    assert_round_trip(rng.integers(12, 20, 50_000, np.uint8).tobytes(), tree)


@settings(max_examples=60, deadline=None)
@given(
    weights=st.dictionaries(st.integers(0, 255), st.floats(1e-6, 1e6), min_size=2, max_size=60),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 4000),
)
def test_any_code_and_data(weights, seed, count):
    values = np.array(list(weights), np.uint8)
    content = np.random.default_rng(seed).choice(values, count).tobytes()
    assert_round_trip(content, code_tree(weights))


def test_bytes_after_the_data_are_left():
    content = bytes(range(100)) * 3
    assert decoded(packed(content) + b"\xff" * 50, len(content)) == content


def test_too_large_a_claim_is_refused_at_once():
    raw = packed(bytes(range(100)))
    with pytest.raises(TtmError, match="claims 1000000 bytes, but"):
        decoded(raw, 1_000_000)


def test_cut_off_data_is_refused():
    content = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    raw = packed(content)
    for lost in (1, 2, 100):
        with pytest.raises(TtmError, match="ends early|hold at most"):
            decoded(raw[:-lost], len(content))


def test_cut_off_last_code_is_refused():
    tree = chain_tree(list(range(100)))
    raw = packed(bytes([0] * 2000 + [99]), tree)
    with pytest.raises(TtmError, match="ends early: within the code of one of 2001 bytes"):
        decoded(raw[:-5], 2001)


def test_broken_trees_are_refused():
    with pytest.raises(TtmError, match="tree is cut off"):
        decoded(b"", 10)
    with pytest.raises(TtmError, match="tree is cut off"):
        decoded(b"\0" * 10, 10)
    with pytest.raises(TtmError, match="more than 256 leaves"):
        decoded(b"\0" * 1000, 10)
    with pytest.raises(TtmError, match="one byte value only"):
        decoded(packed(bytes(10), 0), 10)
    with pytest.raises(TtmError, match="holds byte value 7 twice"):
        decoded(packed(bytes([7] * 9), (7, 7)), 9)
