"""Look at a data set, then turn it into a folder of located, trimmed studies (``spinenet prepare``).

python scripts/prepare_data.py data=rsna2024 data.root=PATH --check            what is odd; nothing is written
python scripts/prepare_data.py data=spider --check points=POINTS.csv           and names against points by hand
python scripts/prepare_data.py data=rsna2024 data.root=PATH workers=8          -> data/cache/rsna2024, resumable
python scripts/prepare_data.py data=spider list_fold=RUN/split.json            patients of one fold (data.fold)
"""

from spinenet.train.commands import prepare_data as main

if __name__ == "__main__":
    main()
