"""Read pickles of plain data without Python's unpickler, so that no code in them can run.

`pickletools` splits a stream into instructions. The machine here carries out those that make dicts,
lists, tuples, texts, bytes and numbers. Where a pickle calls a function, one of our own is called
instead, which checks its arguments; any other call is refused. Limits of instructions and bytes
bound time and memory.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any

from pose_obj_3d.common.errors import ArchiveError

MAX_STEPS = 3_000_000
Calls = Mapping[tuple[str, str], Callable[..., Any] | type]
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    (
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
    )
)
"""Instructions that put their own argument on the stack."""


class Built:
    """An object that a pickle makes first and fills later; subclasses check the content."""

    def build(self, state: object) -> None:
        """Take the content.

        Raises:
            ArchiveError: It is not what it must be.
        """
        raise NotImplementedError


class Named:
    """A name that a pickle may mention, not yet called."""

    def __init__(self, module: str, name: str, call: Callable[..., Any] | type) -> None:
        self.module, self.name, self.call = module, name, call


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(
        self,
        calls: Calls,
        persistent: Callable[[object], Any] | None,
        classes: Calls,
        unknown: Callable[..., Any] | None = None,
    ) -> None:
        self.calls, self.persistent = {**calls, **classes}, persistent
        self.unknown = unknown
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.actions: dict[str, Callable[[Any], None]] = {
            "PROTO": self._nothing,
            "FRAME": self._nothing,
            "MARK": lambda _: self.stack.append(_MARK),
            "POP": lambda _: self._pop(),
            "POP_MARK": lambda _: self._drop(),
            "DUP": lambda _: self.stack.append(self._top()),
            "EMPTY_LIST": lambda _: self.stack.append([]),
            "EMPTY_DICT": lambda _: self.stack.append({}),
            "EMPTY_TUPLE": lambda _: self.stack.append(()),
            "LIST": lambda _: self.stack.append(self._to_mark()),
            "TUPLE": lambda _: self.stack.append(tuple(self._to_mark())),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            "DICT": lambda _: self._dict(),
            "APPEND": lambda _: self._extend([self._pop()]),
            "APPENDS": lambda _: self._extend(self._to_mark()),
            "SETITEM": lambda _: self._set([self._pop(), self._pop()][::-1]),
            "SETITEMS": lambda _: self._set(self._to_mark()),
            "GET": self._get,
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "PUT": self._put,
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "MEMOIZE": lambda _: self._put(len(self.memo)),
            "GLOBAL": lambda argument: self._global(*str(argument).split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._global(*[self._pop(), self._pop()][::-1]),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
            "BINPERSID": lambda _: self._persistent(),
        }
        if classes or unknown is not None:
            self.actions["NEWOBJ"] = lambda _: self._reduce()

    def run(self, stream: IO[bytes]) -> Any:
        """Carry out a pickle; return what it leaves."""
        actions, push = self.actions, self.stack.append
        for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            name = opcode.name
            if step > MAX_STEPS:
                raise ArchiveError(f"has more than {MAX_STEPS} instructions")
            if name in _VALUES:
                push(argument)
            elif name in _CONSTANTS:
                push(_CONSTANTS[name])
            elif name in actions:
                actions[name](argument)
            elif name != "STOP":
                raise ArchiveError(f"has the instruction {name}, which data does not need")
        result = self._pop()
        if self.stack:
            raise ArchiveError("is damaged: it leaves more than one object")
        return result

    def _nothing(self, argument: object) -> None:
        """Take note of a protocol or a frame: it changes nothing."""

    def _top(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise ArchiveError("is damaged: an object is missing")
        return self.stack[-1]

    def _pop(self) -> Any:
        top = self._top()
        self.stack.pop()
        return top

    def _to_mark(self) -> list[Any]:
        for n in range(len(self.stack) - 1, -1, -1):
            if self.stack[n] is _MARK:
                items = self.stack[n + 1 :]
                del self.stack[n:]
                return items
        raise ArchiveError("is damaged: a mark is missing")

    def _drop(self) -> None:
        self._to_mark()

    def _tuple(self, n: int) -> None:
        self.stack.append(tuple([self._pop() for _ in range(n)][::-1]))

    def _dict(self) -> None:
        items = self._to_mark()
        self.stack.append({})
        self._set(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise ArchiveError(f"is damaged: it appends to {type(target).__name__}")
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(items) % 2:
            raise ArchiveError(f"is damaged: it sets items of {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Numbers only from a short range: they could all have one hash.
            if not isinstance(key, str) and not (isinstance(key, int) and 0 <= key < 2**31):
                raise ArchiveError(
                    f"has a {type(key).__name__} as a key; allowed are texts and numbers from 0"
                )
            target[key] = value

    def _get(self, index: int) -> None:
        if index not in self.memo:
            raise ArchiveError(f"is damaged: object {index} is not there")
        self.stack.append(self.memo[index])

    def _put(self, index: int) -> None:
        self.memo[index] = self._top()

    def _global(self, module: object, name: object = "") -> None:
        key = (str(module), str(name))
        call = self.calls.get(key, self.unknown)
        if call is None:
            raise ArchiveError(f"asks for {key[0][:60]}.{key[1][:60]}, which data does not need")
        self.stack.append(Named(*key, call))

    def _reduce(self) -> None:
        arguments, target = self._pop(), self._pop()
        if not isinstance(target, Named) or type(arguments) is not tuple:
            raise ArchiveError(f"is damaged: it calls {type(target).__name__}")
        try:
            self.stack.append(target.call(*arguments))
        except TypeError as error:
            raise ArchiveError(
                f"calls {target.name} with {len(arguments)} arguments that do not fit"
            ) from error

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if not isinstance(target, Built):
            raise ArchiveError(f"is damaged: it fills {type(target).__name__}")
        target.build(state)

    def _persistent(self) -> None:
        if self.persistent is None:
            raise ArchiveError("refers to another file")
        self.stack.append(self.persistent(self._pop()))


def load(
    stream: IO[bytes],
    calls: Calls,
    persistent: Callable[[object], Any] | None = None,
    classes: Calls | None = None,
    unknown: Callable[..., Any] | None = None,
) -> Any:
    """Read a pickle.

    Args:
        stream: Its bytes.
        calls: What it may call: (module, name) -> our own function, which checks its arguments.
        persistent: Turns a reference to something outside the pickle into an object; refused when
            absent.
        classes: Classes of which it may make objects: (module, name) -> a `Built` of our own.

        unknown: Our own function in place of any other call; None: it is refused.

    Returns:
        Dicts, lists, tuples, texts, bytes, numbers, and what the functions returned.

    Raises:
        ArchiveError: It is damaged, asks for more than data, or is too long.
    """
    try:
        return _Machine(calls, persistent, classes or {}, unknown).run(stream)
    except (ValueError, OverflowError, IndexError) as error:
        raise ArchiveError(f"is damaged: {error}") from error
