"""A further process of a training on several devices, which Lightning starts: ``python -m spinenet.train.ranks NAME
KEY=VALUE ...`` is the command NAME of ``train.commands`` with the keys of one run."""

import sys

from spinenet.train import commands

if __name__ == "__main__":
    getattr(commands, sys.argv.pop(1))()
