"""``python -m spinenet.report.schema > predictions.schema.json``."""

import json
import sys

from spinenet.report.schema import predictions_schema

json.dump(predictions_schema(), sys.stdout, indent=1)
