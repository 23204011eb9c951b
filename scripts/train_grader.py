"""Train the grader on located levels and, given a locator's run, export the whole bundle (``spinenet train grader``).

python scripts/train_grader.py data=spider data.root=PATH locator=data/runs/locator out=data/runs/grader
"""

from spinenet.train.commands import train_grader as main

if __name__ == "__main__":
    main()
