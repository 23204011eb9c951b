"""Train the locator: the network that finds discs, bodies and canal in sagittal slices (``spinenet train locator``).

python scripts/train_locator.py data=spider data.root=PATH out=data/runs/locator
"""

from spinenet.train.commands import train_locator as main

if __name__ == "__main__":
    main()
