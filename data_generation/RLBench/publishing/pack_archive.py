"""Pack npz archives with libdeflate's slowest level: 7 % smaller than NumPy writes them.

python -m data_generation.RLBench.publishing.pack_archive <archive.npz> ...

Any reader of npz files reads the result; nothing but the compression changes.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("pack_archive", 40)

import logging
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from data_generation.RLBench import command_line
from data_generation.RLBench.errors import DataGenerationError, StoreError
from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.common.whole_files import write_whole

logger = logging.getLogger("pack_archive")

LEVEL = 12
VERSION, DEFLATED = 20, 8  # of the zip format: version needed, method
DOS_TIME, DOS_DATE = 0, 0x21  # 1980-01-01: the same bytes whenever it is written
MAX_BYTES = 2**32 - 1  # beyond it zip needs other records


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="python -m data_generation.RLBench.publishing.pack_archive",
        description=__doc__.split("\n", maxsplit=1)[0],
    )
    parser.add_argument(
        "archives", nargs="+", type=Path, metavar="archive", help="npz file, packed in place"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        for path in args.archives:
            before = path.stat().st_size
            write_whole(path, packed(path))
            logger.info("%s: %.1f MB, was %.1f MB", path, path.stat().st_size / 1e6, before / 1e6)
    except DataGenerationError as error:
        return command_line.report_error("pack_archive", error)
    except (OSError, ArchiveError) as error:
        return command_line.report_error(
            "pack_archive", StoreError(f"not a readable archive: {error}")
        )
    return 0


def packed(path: Path) -> bytes:
    """Give an archive's bytes, its members in their order and compressed anew.

    Raises:
        StoreError: The package deflate is missing, or the archive is too big.
    """
    try:
        import deflate  # noqa: PLC0415 - only whoever makes data sets for others needs it
    except ModuleNotFoundError:
        raise StoreError("package deflate is not installed; pip install deflate==0.9.0") from None
    body, directory, count = bytearray(), bytearray(), 0
    with Archive(path) as archive:
        for member in tqdm(archive.names, unit="member", disable=not sys.stderr.isatty()):
            data, name = archive.raw(member), archive.file_name(member).encode()
            small = bytes(deflate.deflate_compress(data, LEVEL))
            sizes = (zlib.crc32(data), len(small), len(data), len(name), 0)
            head = struct.pack("<5H3L2H", VERSION, 0, DEFLATED, DOS_TIME, DOS_DATE, *sizes)
            entry = struct.pack("<H", VERSION) + head + struct.pack("<3H2L", 0, 0, 0, 0, len(body))
            directory += b"PK\x01\x02" + entry + name
            body += b"PK\x03\x04" + head + name + small
            count += 1
    if len(body) + len(directory) > MAX_BYTES:
        raise StoreError(
            f"{path} is too big to be packed: {len(body)} bytes, {MAX_BYTES} are allowed"
        )
    end = struct.pack("<4H2LH", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


if __name__ == "__main__":
    sys.exit(main())
