"""The native header of a value: docs/applications.md. Prints one in hexadecimal: header.py NANOSECONDS TXN DELETED VALUE"""

import struct
import sys

HEADER = struct.Struct(">QQBB4xH")
DELETED = 0x01


def encode(timestamp_nano: int, txn_id: int, deleted: bool, value: bytes) -> bytes:
    """The bytes to put. The value of a deleted entry is empty: the header alone is its tombstone."""
    flags = DELETED if deleted else 0
    return HEADER.pack(timestamp_nano, txn_id, 0, flags, 0) + (b"" if deleted else value)


def decode(stored: bytes) -> tuple[int, bool, bytes]:
    """The timestamp, whether the entry is deleted, and the application's value. Extension blocks are skipped."""
    timestamp_nano, _txn_id, version, flags, blocks = HEADER.unpack_from(stored)
    if version != 0:
        raise ValueError(f"version {version} of the native header is not known")
    return timestamp_nano, bool(flags & DELETED), stored[HEADER.size + 8 * blocks :]


if __name__ == "__main__":
    timestamp, txn, deleted, text = sys.argv[1:]
    stored = encode(int(timestamp), int(txn), deleted == "true", text.encode())
    assert decode(stored) == (int(timestamp), deleted == "true", b"" if deleted == "true" else text.encode())
    print(stored.hex())
