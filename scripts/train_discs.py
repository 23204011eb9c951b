"""Train the network that grades discs from midline slices of T1 and T2 (``spinenet train discs``).

python scripts/train_discs.py data.root=SPIDER data.extra.sudirman=SUDIRMAN data.fold=0 out=data/runs/discs0
"""

from spinenet.train.commands import train_discs as main

if __name__ == "__main__":
    main()
