"""Coded words of the structured report and of whatever else says the same to other systems.

SNOMED CT (SCT) and DICOM (DCM) codes where one says what is meant; else our private scheme, whose codes are the names
of the label space, where findings and grades have theirs. Disc codes: DICOM PS3.16, CID 7604; vertebrae: its annex D.
"""

from spinenet.labels import LEVELS, TARGETS, Code, Side, Target, Unit, private
from spinenet.locating.measuring.quantities import QUANTITIES
from spinenet.report.certainty import Certainty

PRIVATE_NAME = "Codes of the spinenet label space"
PRIVATE_UID = "2.25.315492651790203157969211047427805346033"

SCT_LEVELS = {
    "L5/S1": "715056000",
    "L4/L5": "84020006",
    "L3/L4": "62551000",
    "L2/L3": "67459009",
    "L1/L2": "80064006",
    "T12/L1": "76206002",
    "T11/T12": "1537001",
    "T10/T11": "34959001",
    "T9/T10": "113209001",
    "T8/T9": "9188009",
}
SCT_VERTEBRAE = {
    "L5": "49668003",
    "L4": "11994002",
    "L3": "36470004",
    "L2": "14293000",
    "L1": "66794005",
    "T12": "23215003",
    "T11": "12989004",
    "T10": "7610001",
    "T9": "82687006",
    "T8": "11068009",
}
LEVEL_CODES = {level: Code(value, "SCT", f"{level} disc") for level, value in SCT_LEVELS.items()}
"""Level -> its intervertebral disc."""
_UPPER = {level: level.partition("/")[0] for level in LEVELS}
SITES = {
    Unit.DISC: LEVEL_CODES,
    Unit.VERTEBRA: {level: Code(SCT_VERTEBRAE[name], "SCT", f"{name} vertebra") for level, name in _UPPER.items()},
}
"""Unit -> level -> what is graded there."""

SIDES = {Side.LEFT: Code("7771000", "SCT", "Left"), Side.RIGHT: Code("24028007", "SCT", "Right")}
MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
IMAGING_REPORT = Code("18748-4", "LN", "Diagnostic imaging report")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Code("en", "RFC5646", "English")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
DEVICE = Code("121007", "DCM", "Device")
PERSON = Code("121006", "DCM", "Person")
PERSON_NAME = Code("121008", "DCM", "Person Observer Name")
DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL = Code("121015", "DCM", "Device Observer Model Name")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
KEY_SLICES = Code("113000", "DCM", "Of Interest")
KEY_DESCRIPTION = Code("113012", "DCM", "Key Object Description")
REGION = Code("111030", "DCM", "Image Region")
IMPRESSION = Code("121073", "DCM", "Impression")
COMMENT = Code("121106", "DCM", "Comment")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_NAME = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
FINDINGS = Code("121070", "DCM", "Findings")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
SOURCE = Code("121112", "DCM", "Source of Measurement")
MAGNETIC_RESONANCE = Code("MR", "DCM", "Magnetic Resonance")
LUMBAR_SPINE = Code("122496007", "SCT", "Lumbar spine")
ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
CANAL = Code("61853006", "SCT", "Vertebral canal")
SEGMENTATION = Code("113076", "DCM", "Segmentation")
SEGMENTED_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
LEARNT = Code("123110", "DCM", "Artificial Intelligence")
PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
RATIO = Code("1", "UCUM", "no units")
PROBABILITY = Code("122157", "DCM", "Probability")
UNIT_WORDS = {RATIO.value: RATIO.meaning, "%": "Percent", "deg": "degree", "mm2": "square millimeter"}
"""Meanings of units that are not their own."""

GRADES = {
    Certainty.STANDS: private("grade", "Grade"),
    Certainty.LIKELY: private("likely_grade", "Likely or possible grade"),
    Certainty.OPEN: private("not_excluded", "Grade that cannot be excluded"),
}
"""How surely a grade is said -> what it is called: a grade that is not stood by is no grade to whoever reads on."""
LOOKED_FOR = private("looked_for", "Looked for")
"""What is said of a condition in the place of FINDING where it is not present, or is not stood by."""
SET_MEMBER = private("grade_set", "Grade in the prediction set")
STANDS_BY = private("confident", "Model stands by its grade")
CONFIDENT = {True: private("yes", "Yes"), False: private("no", "No")}
EVIDENCE = private("evidence", "Learnt from")
EVIDENCES = {
    "real": private("real", "Patients"),
    "synthetic": private("synthetic", "Synthetic studies alone: experimental"),
    "reader": private("reader", "Nothing: given by a reader"),
    "approved": private("approved", "Patients; approved by a reader"),
}
CAUTION = private("caution", "Caution")
IN_WORDS = private("in_words", "In words")
RESEARCH = private("research_only", "Research use only, not for diagnosis or treatment decisions")
MEASUREMENT_CODES = {one.name: one.code for one in QUANTITIES}
UNITS = {one.name: Code(one.unit, "UCUM", UNIT_WORDS.get(one.unit, one.unit)) for one in QUANTITIES}


def finding_code(target: Target) -> Code:
    """What is graded, its side left out: that is said by the laterality of the site."""
    return target.code or private(target.condition, target.term[:1].upper() + target.term[1:])


RADELEMENT = "RADELEMENT"
RADELEMENT_SET = Code("RDES300", RADELEMENT, "MR Lumbar Degenerative Disc Disease")
PFIRRMANN_SET = Code("RDES281", RADELEMENT, "Pfirrmann Spine Disc Degeneration Classification")
RADELEMENTS = {
    "pfirrmann": (PFIRRMANN_SET, Code("RDE1929", RADELEMENT, "Pfirrmann grade")),
    "modic": (RADELEMENT_SET, Code("RDE1517", RADELEMENT, "Modic endplate changes")),
    "narrowing": (RADELEMENT_SET, Code("RDE1515", RADELEMENT, "Disc space narrowing")),
    "canal_stenosis": (RADELEMENT_SET, Code("RDE2058", RADELEMENT, "Central spinal canal")),
    "subarticular_stenosis_left": (RADELEMENT_SET, Code("RDE2031", RADELEMENT, "Left subarticular recess")),
    "subarticular_stenosis_right": (RADELEMENT_SET, Code("RDE2060", RADELEMENT, "Right subarticular recess")),
}
"""Target -> set and element of the ACR/RSNA common data elements that ask the same, numbered as in the models that
openimagingdata/findingmodels makes of them one to one. The numbers of an element's values are not told there: values
have the codes above. Their elements for disc morphology and end-plates have other answers than our targets."""

TARGET_OF_CODE = {(finding_code(target).value, target.side): target for target in TARGETS}
LEVEL_OF_CODE = {code.value: level for sites in SITES.values() for level, code in sites.items()}
MEASUREMENT_OF_CODE = {code.value: name for name, code in MEASUREMENT_CODES.items()}


def note_code(code: str) -> Code:
    """The code of a note, whose meaning is the same whatever the note says of its study.

    >>> note_code("cut_off").meaning
    'Cut off'
    """
    return private(code, code.replace("_", " ").capitalize())


def grade_of_code(target: Target, value: str) -> int:
    """The grade that a code of the target's steps stands for; KeyError where it stands for none of them."""
    return {step.code.value: step.value for step in target.steps}[value]
