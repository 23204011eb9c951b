"""How good are the grades? Figures with intervals, tables and pictures in one folder (``spinenet evaluate``).

python scripts/evaluate.py predictions=predictions.csv truth=truth.csv out=DIR     a table, without torch or images
python scripts/evaluate.py 'runs=[RUN_FOLD0,RUN_FOLD1]' data=spider data.root=PATH out=DIR     bundles on test patients
"""

from spinenet.train.commands import evaluate as main

if __name__ == "__main__":
    main()
