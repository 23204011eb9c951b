"""Oxford's SpineNet is the distribution ``spinenet`` and has the same import name: one overwrites the other."""

from collections.abc import Iterator
from pathlib import Path


def namesakes(installed: Path) -> Iterator[str]:
    """A line for each other distribution of that name in the folder that packages are installed in."""
    for other in installed.glob("spinenet-*.dist-info"):
        name = other.name.removesuffix(".dist-info").replace("-", " ")
        yield (
            f"{installed} also holds the unrelated distribution {name}, whose files overwrite those of "
            "spinenet-mri or are overwritten by them; give each an environment of its own"
        )
