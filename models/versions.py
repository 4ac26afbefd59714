"""Versions of what is written: high bits the owner's epoch, low 32 bits a counter."""

from typing import Final

#: Epochs grow by the generations of a consumer group: ours never come near.
MAX_VERSION: Final = 1 << 62


def first_version(highest: int, generation: int) -> int:
    """The version to count from: above that of every owner before, `highest` being the greatest
    found, also of an owner that has written nothing yet. generation: of the group, from 0 on."""
    return ((highest >> 32) + generation + 1) << 32


def check_version(version: int) -> None:
    """Raises ValueError for a version that no owner can have given."""
    if not 0 <= version < MAX_VERSION:
        raise ValueError(f"version {version} cannot be one of ours")
