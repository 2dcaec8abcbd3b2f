"""Huffman decoding in NumPy: one prefix code for the whole payload, most significant bit first.

The bits are cut into lanes that are decoded side by side. Where a lane's first code starts is
guessed by decoding some bits before it: Huffman codes fall into step by themselves. Each guess is
checked against where the lane before it ends and decoded again if it was wrong, so the result is
exact; codes that never fall into step are walked one window after the other.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.errors import TtmError

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

WINDOW, SMALL_WINDOW = 16, 14
"""Bits looked up at once, in large and in small data: the tables have an entry for each window."""
SMALL = 300_000
"""Packed bytes below which small tables are made: what they cost is more than what they save."""
PER_WINDOW = 8
"""Most symbols of one look-up."""
LANE, SHORT_LANE = 2048, 512
"""Bits of a lane, in large and in small data: side by side, a step is cheaper."""
WARM_UP = 768
"""Bits before a lane that find its first code."""
BLOCK = 1 << 24
"""Bits decoded at once: bounds the memory beside the result."""
MAX_RUNS, FEW = 4, 48
"""Lanes are decoded again at most so often; then, or when few are wrong, they are walked."""
MAX_DEPTH = 255


@dataclass(frozen=True)
class Tree:
    """A code tree, as arrays.

    Attributes:
        children: (nodes, 2) number of the node after bit 0 and bit 1; a leaf's symbol is kept as
            -1 - symbol in place of the number.
        lengths: (leaves,) bits of each code.
        tops: (T, 2) depth and number of what a window leads to, in the order of the codes: leaves
            down to its depth, and inner nodes there.
        used: bits that the stored tree takes.
        window: bits looked up at once.
    """

    children: Ints
    lengths: Ints
    tops: Ints
    used: int
    window: int


def read_tree(data: Bytes, source: str, window: int = WINDOW) -> Tree:
    """Read the tree that stands before the data; see `Tree`.

    Args:
        data: packed bytes.
        source: file name, for messages.
        window: bits looked up at once.

    Raises:
        TtmError: it is cut off, or holds more leaves than there are byte values.
    """
    # 256 leaves of 9 bits and 255 inner nodes take 320 bytes.
    bits = np.unpackbits(data[:328]).tolist()
    children: list[list[int]] = []
    lengths: list[int] = []
    tops: list[tuple[int, int]] = []
    todo = [(-1, 0, 0)]  # (inner node above, its bit, depth)
    seen: set[int] = set()
    at = 0
    while todo:
        above, bit, depth = todo.pop()
        if at + 9 > len(bits):
            raise TtmError(f"{source}: the code tree is cut off after {len(data)} bytes")
        if bits[at]:
            symbol = int("".join(map(str, bits[at + 1 : at + 9])), 2)
            if symbol in seen:
                raise TtmError(f"{source}: the code tree holds byte value {symbol} twice")
            seen.add(symbol)
            lengths.append(depth)
            at += 9
            number = -1 - symbol
        else:
            if len(children) == MAX_DEPTH:
                raise TtmError(f"{source}: the code tree has more than 256 leaves")
            number = len(children)
            children.append([0, 0])
            todo += [(number, 1, depth + 1), (number, 0, depth + 1)]
            at += 1
        if above >= 0:
            children[above][bit] = number
        if depth == window or (number < 0 and depth < window):
            tops.append((depth, number))
    if not children:
        # A single leaf: kept as a node both of whose bits lead to it.
        children.append([number, number])
    return Tree(np.array(children), np.array(lengths), np.array(tops), at, window)


class _Tables:
    """What a window of bits decodes to.

    Rows: windows read for as many symbols as fit, from `single` on windows read for one symbol, at
    `nothing` none, from `deep` on symbols of codes longer than a window.

    Attributes:
        single: see above; so many windows there are.
        nothing: see above.
        deep: see above.
        symbols: (rows,) a row's symbols, as the bytes of one number.
        masks: (rows,) as `symbols`, 1 for each byte that is a symbol.
        bits: (rows,) bits that they take; 0 where the first code is longer than the window.
        bits_list: the same, quick to look up one by one.
        nodes: (windows,) node reached after the window where its first code is longer.
        has_deep: some code is longer.
        children: as the tree's, quick to look up one by one.
    """

    def __init__(self, tree: Tree) -> None:
        # Codes in the tree's order follow each other, so each covers a run of windows.
        tops, size = tree.tops, 1 << tree.window
        self.single, self.nothing, self.deep = size, 2 * size, 2 * size + 1
        self.children = tree.children.tolist()
        runs = 1 << (tree.window - np.minimum(tops[:, 0], tree.window))
        node = np.repeat(tops[:, 1], runs)
        self.nodes = node
        is_deep = node >= 0
        self.has_deep = bool(is_deep.any())
        symbol = np.where(is_deep, 0, -1 - node).astype(np.uint8)
        length = np.repeat(tops[:, 0], runs).astype(np.uint16)
        length[is_deep] = 2 * tree.window
        many, counts, used = _several(symbol, length, tree.window)
        width = next(w for w in (1, 2, 4, 8) if w >= many.shape[1])
        rows = self.deep + 256
        symbols = np.zeros((rows, width), np.uint8)
        symbols[:size, : many.shape[1]] = many
        symbols[size : self.nothing, 0] = symbol
        symbols[self.deep :, 0] = np.arange(256)
        number = np.dtype(f"u{width}")
        self.symbols = symbols.view(number)[:, 0]
        row_counts = np.ones(rows, np.uint8)
        row_counts[:size] = counts
        row_counts[self.nothing] = 0
        masks = np.tri(width + 1, width, -1, dtype=np.uint8).view(number)[:, 0]
        self.masks = masks[row_counts]
        self.bits = np.zeros(rows, np.uint8)
        self.bits[:size] = used
        self.bits[size : self.nothing] = np.where(is_deep, 0, length)
        self.bits_list = bytes(self.bits)


def _several(
    symbol: Bytes, length: npt.NDArray[np.uint16], window: int
) -> tuple[Bytes, Bytes, Bytes]:
    """Read as many codes as fit from every window.

    Args:
        symbol: (W,) first symbol of each window.
        length: (W,) bits of its code; more than a window's where it does not fit.
        window: bits of a window, 16 at most.

    Returns:
        (W, P) symbols, (W,) how many, (W,) bits they take.
    """
    size = 1 << window
    windows = np.arange(size, dtype=np.uint16)
    used = np.zeros(size, np.uint16)
    counts = np.zeros(size, np.uint8)
    columns: list[Bytes] = []
    for _ in range(PER_WINDOW):
        # Bits shifted out of a window are gone; those shifted in are 0 and not counted.
        rest = (windows << used) & np.uint16(size - 1)
        after = used + length[rest]
        fits = after <= window
        if not fits.any():
            break
        columns.append(symbol[rest])
        counts += fits
        used = np.where(fits, after, used)
    return np.stack(columns, axis=1), counts, used.astype(np.uint8)


class _Decoder:
    """Decodes a stretch of bits whose start is known.

    Args:
        data: the bytes of the stretch and some after it.
        tree: of the code.
        tables: of the tree.
    """

    def __init__(self, data: Bytes, tree: Tree, tables: _Tables) -> None:
        padded = np.concatenate([data, np.zeros(40, np.uint8)])
        unaligned = np.ndarray((len(padded) - 4,), ">u4", padded, strides=(1,))
        self._words = unaligned.astype(np.uint32)
        self._bytes = padded
        self._tree = tree
        self._tables = tables
        self._width = tree.window
        self._shift = 32 - tree.window
        self._lane = LANE if tree.window == WINDOW else SHORT_LANE

    def decode(self, start: int, end: int) -> tuple[Bytes, int]:
        """Return the symbols of all codes that start in [start, end), and where the next starts."""
        lengths = self._tree.lengths
        # Codes of one length never fall into step by themselves: begin in step.
        step = int(np.gcd.reduce(lengths))
        lane = max(self._lane // step, 1) * step
        borders = np.arange(start, end, lane)
        ends = np.append(borders[1:], end)
        before = np.maximum(borders - WARM_UP // step * step, start)
        starts = self._run(before, borders)[1]
        starts[0] = start
        kept, exits = self._run(starts, ends)
        for _ in range(MAX_RUNS):
            wrong = np.flatnonzero(exits[:-1] != starts[1:]) + 1
            if len(wrong) <= FEW:
                break
            starts[wrong] = exits[wrong - 1]
            again, exits[wrong] = self._run(starts[wrong], ends[wrong])
            kept = self._replace(kept, again, wrong)
        walked = self._walk(starts, ends, exits)
        if len(walked):
            kept = self._replace(kept, self._run(starts[walked], ends[walked])[0], walked)
        rows = kept.T.ravel()
        symbols = self._tables.symbols[rows].view(np.uint8)
        mask = self._tables.masks[rows].view(np.bool_)
        return symbols[mask], int(exits[-1])

    def _window(self, at: Ints) -> Ints:
        words = self._words[at >> 3]
        out: Ints = (words >> (self._shift - (at & 7))) & (self._tables.single - 1)
        return out

    def _run(self, starts: Ints, ends: Ints) -> tuple[npt.NDArray[np.int32], Ints]:
        """Decode lanes side by side.

        Args:
            starts: (L,) first bits.
            ends: (L,) no code starts there or later.

        Returns:
            (steps, L) rows of the tables, and (L,) where the first code after each lane starts.
        """
        at = starts.astype(np.int64)
        kept: list[npt.NDArray[np.int32]] = []
        bits, nothing = self._tables.bits, self._tables.nothing
        for first, limit in ((0, ends - self._width), (self._tables.single, ends - 1)):
            while True:
                is_open = at <= limit
                if not is_open.any():
                    break
                rows = np.where(is_open, self._window(at) + first, nothing)
                taken = bits[rows]
                at += taken
                if self._tables.has_deep:
                    deep = np.flatnonzero(is_open & (taken == 0))
                    if len(deep):
                        rows[deep] = self._follow(at, deep, rows[deep] - first)
                kept.append(rows.astype(np.int32))
        if not kept:
            return np.empty((0, len(at)), np.int32), at
        return np.stack(kept), at

    def _follow(self, at: Ints, lanes: Ints, windows: Ints) -> Ints:
        """Decode codes longer than a window; move `at[lanes]` behind them; return table rows."""
        place = at[lanes] + self._width
        node = self._tables.nodes[windows]
        open_ = np.arange(len(lanes))
        while len(open_):
            # Past the end all bits are 0.
            byte = self._bytes[np.minimum(place[open_] >> 3, len(self._bytes) - 1)]
            bit = (byte >> (7 - (place[open_] & 7)).astype(np.uint8)) & 1
            node[open_] = self._tree.children[node[open_], bit]
            place[open_] += 1
            open_ = open_[node[open_] >= 0]
        at[lanes] = place
        return self._tables.deep - 1 - node

    def _walk(self, starts: Ints, ends: Ints, exits: Ints) -> Ints:
        """Correct the `starts` and `exits` of lanes that do not begin where the one before ends.

        Returns:
            Numbers of the lanes that changed.
        """
        walked: list[int] = []
        wrong = np.flatnonzero(exits[:-1] != starts[1:]) + 1
        for lane in wrong.tolist():
            number = lane
            while number < len(starts) and starts[number] != exits[number - 1]:
                starts[number] = exits[number - 1]
                exits[number] = self._walk_lane(int(starts[number]), int(ends[number]))
                walked.append(number)
                number += 1
        return np.array(walked, np.int64)

    def _walk_lane(self, at: int, end: int) -> int:
        """Return where the first code after a lane starts, one window after the other."""
        base = at >> 3
        words = self._words[base : (end >> 3) + 1].tolist()
        bits, single, width = self._tables.bits_list, self._tables.single, self._width
        while at < end:
            window = (words[(at >> 3) - base] >> (self._shift - (at & 7))) & (single - 1)
            taken = bits[window if at + width <= end else window + single]
            at = at + taken if taken else self._follow_one(at + width, window)
        return at

    def _follow_one(self, at: int, window: int) -> int:
        """Return where a code longer than a window ends; see `_follow`."""
        children, raw = self._tables.children, self._bytes
        node = int(self._tables.nodes[window])
        while node >= 0:
            # Past the end all bits are 0.
            byte = int(raw[at >> 3]) if at >> 3 < len(raw) else 0
            node = children[node][byte >> (7 - (at & 7)) & 1]
            at += 1
        return at

    def _replace(
        self, kept: npt.NDArray[np.int32], again: npt.NDArray[np.int32], lanes: Ints
    ) -> npt.NDArray[np.int32]:
        """Put the rows of lanes decoded again in place of what they had."""
        nothing = self._tables.nothing
        if len(again) > len(kept):
            more = np.full((len(again) - len(kept), kept.shape[1]), nothing, np.int32)
            kept = np.concatenate([kept, more])
        kept[:, lanes] = nothing
        kept[: len(again), lanes] = again
        return kept


def decode(data: Bytes, size: int, source: str) -> Bytes:
    """Decode a tree followed by data.

    Args:
        data: (N,) packed bytes.
        size: bytes of the result.
        source: file name, for messages.

    Returns:
        (size,) bytes.

    Raises:
        TtmError: the tree is broken, or the data cannot hold that many bytes.
    """
    tree = read_tree(data, source, SMALL_WINDOW if len(data) < SMALL else WINDOW)
    shortest = int(tree.lengths.min())
    end = 8 * len(data)
    if shortest == 0:
        raise TtmError(f"{source}: the code tree knows one byte value only: this is no scene")
    if size * shortest > end - tree.used:
        raise TtmError(
            f"{source}: the header claims {size} bytes, but the {len(data)} packed ones hold at "
            f"most {(end - tree.used) // shortest}"
        )
    tables = _Tables(tree)
    found: list[Bytes] = []
    count, at = 0, tree.used
    while count < size:
        base = at >> 3
        stop = min(end, at + BLOCK)
        decoder = _Decoder(data[base : (stop >> 3) + 48], tree, tables)
        symbols, next_at = decoder.decode(at - 8 * base, stop - 8 * base)
        at = next_at + 8 * base
        count += len(symbols)
        found.append(symbols)
        if at >= end:
            # The last code may end in what is not there.
            count -= at > end
            break
    if count < size:
        raise TtmError(f"{source}: ends early: {count} of {size} bytes could be unpacked")
    return np.concatenate(found)[:size]
