"""Random scene files whose chunks are valid, but make little sense together."""

from hypothesis import strategies as st

from tests.unit.pyrep_mujoco.ttm import ttm_files as tf

NUMBERS = st.sampled_from([0.1, 0.5, 1, 2, 0, -1, 1e-12, 1e-30, 1e9])
TURNS = st.one_of(st.just(tf.NO_TURN), st.tuples(*[NUMBERS] * 4))
PLACES_3 = st.tuples(*[NUMBERS] * 3)
TEXTS = st.sampled_from(["ignore_collisions", "", "open_gripper();", "\x1b[1m", 'x<&>"y'])
NAMES = st.sampled_from(
    ["a", "b", "", "world", "a b", 'x<&>"y', "w\0z", "a:b", "../x", "é", "\uffff"]
)
CURVES = st.tuples(PLACES_3, TURNS, NUMBERS, NUMBERS, st.sampled_from([0, 1, 2, 50]))


@st.composite
def odd_object(draw, number, count):
    """An object of any kind with odd values, below any other."""
    name = draw(st.just(f"o{number}") | NAMES)
    below = st.integers(-1, number - 1)
    parent = draw(below if draw(st.booleans()) else st.integers(-1, count))
    common = {
        "Cfq": tf.chunk("Cfq", tf.qx(draw(PLACES_3), draw(TURNS))),
        "Rst": tf.chunk("Rst", tf.text(draw(TEXTS))),
    }
    pair = st.tuples(NUMBERS, NUMBERS)
    kind = draw(st.sampled_from(["shape", "shape", "joint", "joint", "sensor", "path", "dummy"]))
    if kind == "shape":
        form = tf.chunk("Ppr", tf.i32(draw(st.integers(0, 8))), tf.f32(*draw(PLACES_3)))
        turned = tf.chunk("Ine", tf.xq(draw(PLACES_3), draw(TURNS)), tf.f32(*draw(PLACES_3)))
        node = tf.node_chunks(mass=abs(draw(NUMBERS)), Ine=turned)
        worn = tf.texture_use(draw(st.sampled_from([3, 9])), draw(st.integers(0, 3)), draw(pair))
        part = tf.leaf(node=node, Ppr=form, Toj=draw(st.sampled_from([None, worn])))
        state = {
            "state": draw(st.sampled_from([0, 0x80, 0xC0])),
            "contact": draw(st.integers(0, 1)),
        }
        return tf.shape(name, number, parent, geometry=part, **state, **common)
    if kind == "joint":
        own = {
            "Jmd": tf.chunk("Jmd", tf.i32(draw(st.integers(0, 5)))),
            "Jdt": tf.chunk("Jdt", tf.i32(draw(st.integers(-1, count))), tf.f32(*draw(pair))),
            "Dmp": tf.chunk("Dmp", tf.f32(*draw(pair))),
        }
        values = {"value": draw(NUMBERS), "limits": draw(pair), "flags": draw(st.integers(0, 255))}
        kind = draw(st.sampled_from([10, 11, 12]))
        return tf.joint(name, number, parent, kind=kind, **values, **own, **common)
    if kind == "sensor":
        sizes = [draw(NUMBERS) for _ in range(9)]
        return tf.proximity_sensor(name, number, parent, draw(st.integers(0, 4)), sizes)
    if kind == "path":
        points = draw(st.lists(CURVES, max_size=4))
        return tf.path(name, number, parent, points, draw(st.sampled_from([0, 4])))
    return tf.dummy(name, number, parent, **common)


@st.composite
def odd_scene(draw):
    count = draw(st.integers(1, 6))
    return tf.ttm(
        tf.texture(),
        tf.buffers(),
        *(draw(odd_object(i, count)) for i in range(count)),
        compressed=False,
    )
