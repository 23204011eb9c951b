"""Fit what grades discs by their measurements (``spinenet train measured``).

python scripts/train_measured.py data.root=PATH 'segmenters=[data/runs/segmenter0]' data.fold=0 out=data/runs/measured0
"""

from spinenet.train.commands import train_measured as main

if __name__ == "__main__":
    main()
