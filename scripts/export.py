"""Join a locator's and one or more graders' runs into a bundle that predicts without torch (``spinenet export``).

python scripts/export.py 'graders=[RUN,RUN]' locator=RUN out=DIR
"""

from spinenet.train.commands import export as main

if __name__ == "__main__":
    main()
