"""Train the segmenter: the network that outlines disc, bodies and canal of a level (``spinenet train segmenter``).

python scripts/train_segmenter.py data=outlines data.root=SUDIRMAN data.extra.phantom=PHANTOMS out=data/runs/outlines
"""

from spinenet.train.commands import train_segmenter as main

if __name__ == "__main__":
    main()
