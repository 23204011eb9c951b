"""The JSON Schema (2020-12) of ``predictions.json``; what the label space says is filled in from there."""

import json
from importlib.resources import files
from typing import Any

from spinenet.labels import LEVELS, RESEARCH_ONLY, TARGETS, VIEWS, Target
from spinenet.locating.measuring.quantities import QUANTITIES, Quantity


def predictions_schema() -> dict[str, Any]:
    """The whole schema, ready for a validator or ``json.dump``."""
    schema: dict[str, Any] = json.loads(files(__package__).joinpath("predictions.template.json").read_text("utf-8"))
    schema["properties"]["notice"]["const"] = RESEARCH_ONLY
    definitions = schema["$defs"]
    definitions["target"]["enum"] = [target.name for target in TARGETS]
    definitions["level"]["properties"]["level"]["enum"] = list(LEVELS)
    sizes = {one.name: _size(one) for one in QUANTITIES}
    definitions["level"]["properties"]["measurements"]["properties"] = sizes
    details = definitions["level"]["properties"]["measurement_details"]
    details["properties"] = {one.name: {"$ref": "#/$defs/measurement_detail"} for one in QUANTITIES}
    definitions["series"]["properties"]["view"]["enum"] = [*(view.value for view in VIEWS), None]
    definitions["grade"]["allOf"] = [_rule(target) for target in TARGETS]
    return schema


def _size(quantity: Quantity) -> dict[str, Any]:
    bound = {} if quantity.signed else {"minimum": 0}
    return {"type": "number", **bound, "description": quantity.definition}


def _rule(target: Target) -> dict[str, Any]:
    """What holds of a grade of this target: its scale."""
    count, grades = len(target.grades), list(target.grades)
    allowed = {
        "grade": {"enum": grades},
        "probabilities": {"minItems": count, "maxItems": count},
        "grade_set": {"items": {"enum": grades}},
    }
    return {"if": {"properties": {"target": {"const": target.name}}}, "then": {"properties": allowed}}
