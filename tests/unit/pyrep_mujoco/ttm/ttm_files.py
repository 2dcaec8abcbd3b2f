"""Writes small V-REP / CoppeliaSim files for tests: chunks, meshes, objects, Huffman coding."""

import heapq
import itertools
import struct

import numpy as np

NO_TURN = (1.0, 0.0, 0.0, 0.0)


def i32(*values):
    return struct.pack(f"<{len(values)}i", *values)


def u16(*values):
    return struct.pack(f"<{len(values)}H", *values)


def u8(*values):
    return struct.pack(f"<{len(values)}B", *values)


def f32(*values):
    return np.asarray(values, "<f4").tobytes()


def text(string):
    raw = string.encode()
    return i32(len(raw)) + raw


def chunk(tag, *body):
    content = b"".join(body)
    return tag.encode() + i32(len(content)) + content


def container(tag, *chunks):
    return chunk(tag, *chunks, b"EOO")


def qx(position=(0, 0, 0), quat=NO_TURN):
    return f32(*quat, *position)


def xq(position=(0, 0, 0), quat=NO_TURN):
    return f32(*position, *quat)


def replaced(chunks, changes):
    """Chunks by tag, some of them replaced; None leaves one out."""
    out = {**chunks, **changes}
    return [value for value in out.values() if value is not None]


# Huffman coding


def code_tree(weights):
    """A code for byte values by their weights: nested pairs down to byte values."""
    order = itertools.count()
    heap = [(weight, next(order), symbol) for symbol, weight in weights.items()]
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (first[0] + second[0], next(order), (first[2], second[2])))
    return heap[0][2]


def chain_tree(symbols):
    """A code whose lengths are 1, 2, 3, ...: as deep as can be."""
    tree = symbols[-1]
    for symbol in reversed(symbols[:-1]):
        tree = (symbol, tree)
    return tree


def _codes(tree):
    todo, codes, stored = [(tree, "")], {}, []
    while todo:
        node, code = todo.pop()
        if isinstance(node, tuple):
            stored.append("0")
            todo += [(node[1], code + "1"), (node[0], code + "0")]
        else:
            stored.append(f"1{node:08b}")
            codes[node] = code
    return codes, "".join(stored)


def packed(content, tree=None):
    """Huffman code bytes, by default with the best code for them."""
    if tree is None:
        values, counts = np.unique(np.frombuffer(content, np.uint8), return_counts=True)
        tree = code_tree(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    codes, stored = _codes(tree)
    bits = stored + "".join(codes[value] for value in content)
    return np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord("0")).tobytes()


# Files


def ttm(*chunks, version=22, application=40100, size=None, compressed=True, kind=2, end=b"EOF"):
    """A whole file of top-level chunks."""
    payload = b"".join(chunks) + end
    head = struct.pack(
        "<4s2iBiiHibb",
        b"VREP",
        version,
        18,
        int(compressed),
        len(payload) if size is None else size,
        0,
        application,
        0x1000,
        1,
        kind,
    )
    head = head.ljust(1021, b"\0")
    return head + (packed(payload) if compressed else payload)


def scene_object(tag, name, handle, parent=-1, own=(), **changes):
    """An object: what all have, then its own chunks; `changes` replace common chunks by tag."""
    common = {
        "3do": chunk("3do", u8(0, 0, 0)),
        "Cfq": chunk("Cfq", qx()),
        "Ids": chunk("Ids", i32(handle, parent)),
        "Nme": chunk("Nme", text(name)),
        "Anm": chunk("Anm", text(name + "_other")),
        "Op2": chunk("Op2", i32(36)),
        "Omp": chunk("Omp", i32(1011)),
        "Lar": chunk("Lar", u16(1)),
        "Va3": chunk("Va3", u8(0)),
        "Mpo": chunk("Mpo", i32(0)),
        "Rst": chunk("Rst", text("")),
    }
    return chunk(tag, *replaced(common, changes), b"NXT", *own, b"EOO")


def color(tag="Cl0", rgb=(1.0, 0.5, 0.25), flags=4, opacity=0.5, name="", slots=None):
    values = [*rgb, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3, 0, 0, 0]
    return container(
        tag,
        chunk("Cl3", f32(*(values if slots is None else slots))),
        chunk("Sh2", i32(20)),
        chunk("Trf", f32(opacity)),
        chunk("Var", u8(flags)),
        chunk("Cnm", text(name)),
    )


def material(tag="Mat", number=7, name="sticky"):
    def counted(*values):
        return i32(len(values), 1) + f32(*values) + i32(0)

    return container(
        tag,
        chunk("Ipa", i32(number)),
        chunk("Gon", text(name)),
        chunk("BuN", counted(0.1, 1.0, 0.5, 0.0)),
        chunk("OdN", counted(0.9, 0.2)),
        chunk("Nw1", counted(0.8, 0.7)),
    )


# Meshes

TETRA_POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
TETRA_FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
TETRA_NORMALS = np.repeat([[0, 0, -1], [0, -1, 0], [-1, 0, 0], [1, 1, 1]], 3, axis=0)


def delta_coded(indices):
    """`In2`: each difference in as few bytes as it fits in."""
    out = [i32(len(indices))]
    for step in np.diff([0, *indices]).tolist():
        for more, (bits, bias) in enumerate(((6, 31), (14, 8191), (22, 2097151), (30, 536870911))):
            value = step + bias
            if 0 <= value < 1 << bits:
                first = u8(more << 6 | value & 63)
                out.append(first + (value >> 6).to_bytes(4, "little")[:more])
                break
        else:
            raise ValueError(f"difference {step} is too large")
    return b"".join(out)


def packed_normals(normals):
    """`No2`: three times five bits each, of normals whose components are -1, 0 or 1."""
    parts = np.asarray(normals).reshape(-1, 3) * 15 + 15
    return (parts @ [1, 32, 1024]).astype("<u2").tobytes()


def buffers(*chunks):
    """`VIN`; by default with one tetrahedron."""
    own = chunks or (
        chunk("Ver", TETRA_POINTS.tobytes()),
        chunk("In2", delta_coded(TETRA_FACES.ravel())),
        chunk("No2", packed_normals(TETRA_NORMALS)),
    )
    return container("VIN", *own)


def node_chunks(name="", mass=2.0, pose=None, **changes):
    """What single and grouped meshes share."""
    return replaced(
        {
            "Nme": chunk("Nme", text(name)),
            "Mas": chunk("Mas", f32(mass)),
            "Dmi": chunk("Dmi", i32(7)),
            "Ine": chunk("Ine", xq((0.1, 0.2, 0.3)), f32(0.01, 0.02, 0.03)),
            "Vtb": chunk("Vtb", xq() if pose is None else pose),
            "Var": chunk("Var", u8(0)),
        },
        changes,
    )


def leaf(tag="Gst", node=None, **changes):
    """A mesh: the tetrahedron, unless `changes` replace its chunks."""
    own = {
        "Cl0": color(),
        "Vev": chunk("Vev", i32(0)),
        "Inv": chunk("Inv", i32(0)),
        "Nov": chunk("Nov", i32(0)),
        "Ppr": chunk("Ppr", i32(0), f32(0, 0, 0)),
        "Pp2": chunk("Pp2", f32(0)),
        "Ppf": chunk("Ppf", xq()),
        "Gsa": chunk("Gsa", f32(0.3), i32(1)),
        "Var": chunk("Var", u8(0)),
    }
    head = node_chunks() if node is None else node
    return chunk(tag, *head, b"EOO", *replaced(own, changes), b"EOO")


def group(tag, *children, node=None):
    return container(tag, *(node_chunks() if node is None else node), *children)


def texture(number=3, width=2, height=4, channels=3, **changes):
    pixels = np.arange(width * height * channels, dtype=np.uint8)
    own = {
        "Ipa": chunk("Ipa", i32(number, width, height)),
        "Gon": chunk("Gon", text("wood")),
        "Bst": chunk("Bst", u8(channels == 4)),
        "Img": chunk("Img", pixels.tobytes()),
    }
    return container("TEX", *replaced(own, changes))


def texture_use(number=3, mapping=0, scale=(1.0, 1.0), pose=None, uv=None, mode=0):
    return container(
        "Toj",
        chunk("Tob", i32(number, mapping), f32(*scale)),
        chunk("Trc", qx() if pose is None else pose),
        chunk("Bs2", u8(1 | 4)),
        chunk("Ftc", b"" if uv is None else f32(*np.ravel(uv))),
        chunk("Apm", i32(mode)),
    )


# Objects by kind


def dummy(name, handle, parent=-1, linked=-1, **changes):
    own = [chunk("Dy2", f32(0.01)), chunk("Lli", i32(linked)), chunk("Dl2", i32(5))]
    return scene_object("DMY", name, handle, parent, own, **changes)


def shape(name, handle, parent=-1, geometry=None, state=0, contact=0, contact_material=None, **c):
    own = [
        container("Ge2", leaf() if geometry is None else geometry),
        *([material()] if contact_material is None else contact_material),
        chunk("Dc2", u16(0x00FF)),
        chunk("Sss", u8(state)),
        chunk("Ss3", u8(contact)),
    ]
    return scene_object("SHP", name, handle, parent, own, **c)


def joint(name, handle, parent=-1, kind=10, value=0.0, limits=(-1.0, 3.0), flags=0, **changes):
    own = {
        "Jtt": chunk("Jtt", i32(kind)),
        "Prt": chunk("Prt", f32(value)),
        "Pmr": chunk("Pmr", f32(*limits)),
        "Jst": chunk("Jst", f32(*NO_TURN)),
        "Va9": chunk("Va9", u8(flags)),
        "Vaa": chunk("Vaa", u8(2)),
        "Jmd": chunk("Jmd", i32(5)),
        "Jdt": chunk("Jdt", i32(-1), f32(1, 0)),
        "Dmp": chunk("Dmp", f32(0.5, 12.0)),
        "Dp2": chunk("Dp2", f32(0.1, 0.2, 0.3)),
        "Spp": chunk("Spp", f32(4, 5)),
        "Dtp": chunk("Dtp", f32(0.25)),
        "Ulv": chunk("Ulv", f32(6)),
    }
    tags = set(own)
    chunks = replaced(own, {k: v for k, v in changes.items() if k in tags})
    common = {k: v for k, v in changes.items() if k not in tags}
    return scene_object("JNT", name, handle, parent, chunks, **common)


def proximity_sensor(name, handle, parent=-1, kind=0, sizes=range(1, 10), detects=-1):
    volume = container("Vod", chunk("Snt", i32(kind)), chunk("Ss3", f32(*sizes)))
    own = [chunk("Snt", i32(30 + kind)), volume, chunk("Sox", i32(detects))]
    return scene_object("SNR", name, handle, parent, own)


def vision_sensor(name, handle, parent=-1, pixels=(128, 64)):
    own = [
        chunk("Ccp", f32(0.01, 0.7, 0.02, 3.5)),
        chunk("Res", i32(*pixels)),
        chunk("Va3", u8(1)),
    ]
    return scene_object("RSN", name, handle, parent, own)


def camera(name, handle, parent=-1):
    own = [chunk("Cp3", f32(2, 0.9)), chunk("Ccp", f32(0.05, 30))]
    return scene_object("CMA", name, handle, parent, own)


def light(name, handle, parent=-1, kind=3):
    slots = [0, 0, 0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, *[0.0] * 6]
    own = [
        chunk("Cp2", i32(kind, 0), f32(0.1)),
        chunk("Cp3", f32(1.5)),
        chunk("Caf", f32(0.5, 0.25, 0.125)),
        chunk("Cas", u8(1)),
        color("Cl2", slots=slots),
    ]
    return scene_object("LGT", name, handle, parent, own)


def force_sensor(name, handle, parent=-1, flags=1):
    own = [chunk("Vab", u8(flags)), chunk("Tri", f32(100, 10), i32(1))]
    return scene_object("FSE", name, handle, parent, own)


def path(name, handle, parent=-1, points=(), attributes=1187, factor=0.1, method=5):
    """Points are (position, quaternion wxyz, before, after, count)."""
    made = [
        container("Pat", chunk("At2", xq(place, quat), f32(before, after), i32(count), f32(1)))
        for place, quat, before, after, count in points
    ]
    track = [*made, chunk("At2", i32(attributes)), chunk("Av3", f32(factor), i32(method))]
    return scene_object("PAT", name, handle, parent, [container("Ntp", *track)])


def script(handle):
    return container("LST", chunk("Si2", i32(0, handle, 1)), chunk("Ste", text("x")))


def everything():
    """The chunks of a file with every kind of object."""
    turned = chunk("Cfq", qx((1, 2, 3), (np.sqrt(0.5), 0, 0, np.sqrt(0.5))))
    leaves = [leaf("Geo"), group("Wrp", leaf("Geo"), leaf("Geo", Toj=texture_use(mapping=3)))]
    line = [((0, 0, 0), NO_TURN, 0.5, 0.5, 1), ((1, 0, 0), NO_TURN, 0.5, 0.5, 5)]
    bend = [*line, ((1, 1, 0), NO_TURN, 0.5, 0.5, 1)]
    return [
        container("BBC", chunk("Mo2", bytes(44))),
        material("DMA"),
        texture(),
        buffers(),
        dummy("base", 10, Cfq=turned, Va3=chunk("Va3", u8(1)), Mpo=chunk("Mpo", i32(8))),
        shape("box", 11, 10, state=0xC0, contact=1),
        joint("hinge", 12, 11, value=0.5, flags=16),
        shape("door", 13, 12, geometry=group("Gsg", *leaves)),
        shape("cloth", 14, 13, geometry=leaf(Toj=texture_use())),
        dummy("waypoint0", 15, 13, Rst=chunk("Rst", text("open_gripper()"))),
        proximity_sensor("success", 16, 10),
        vision_sensor("cam", 17, 10),
        camera("view", 18),
        light("lamp", 19),
        force_sensor("bond", 20, 13),
        path("way", 21, 10, bend),
        scene_object("GRH", "graph", 22, own=[chunk("Abc", b"1234")]),
        script(13),
    ]
