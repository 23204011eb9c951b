"""Coded words of the structured report: (value, scheme, meaning).

SNOMED CT (SCT) and DICOM (DCM) codes where one says what is meant; else the private scheme 99SPINENET, whose codes are
the names of the label space. Disc codes: DICOM PS3.16, CID 7604; findings: SNOMED CT, disorders of the spine.
"""

from spinenet.labels import TARGETS, Scale, Target

Code = tuple[str, str, str]

PRIVATE = "99SPINENET"
PRIVATE_NAME = "Codes of the spinenet label space"


def private(value: str, meaning: str) -> Code:
    """A code of ours."""
    return value, PRIVATE, meaning


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
LEVEL_CODES = {level: (value, "SCT", f"{level} disc") for level, value in SCT_LEVELS.items()}
"""Level -> its intervertebral disc."""

SIDES = {"left": ("7771000", "SCT", "Left"), "right": ("24028007", "SCT", "Right")}
MEASUREMENT_REPORT = ("126000", "DCM", "Imaging Measurement Report")
LANGUAGE = ("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = ("en", "RFC5646", "English")
OBSERVER_TYPE = ("121005", "DCM", "Observer Type")
DEVICE = ("121007", "DCM", "Device")
DEVICE_UID = ("121012", "DCM", "Device Observer UID")
DEVICE_NAME = ("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER = ("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL = ("121015", "DCM", "Device Observer Model Name")
PROCEDURE_REPORTED = ("121058", "DCM", "Procedure reported")
IMAGING_MEASUREMENTS = ("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = ("125007", "DCM", "Measurement Group")
TRACKING_NAME = ("112039", "DCM", "Tracking Identifier")
TRACKING_UID = ("112040", "DCM", "Tracking Unique Identifier")
FINDING = ("121071", "DCM", "Finding")
FINDING_SITE = ("363698007", "SCT", "Finding Site")
LATERALITY = ("272741003", "SCT", "Laterality")
SOURCE = ("121112", "DCM", "Source of Measurement")
LUMBAR_SPINE = ("122496007", "SCT", "Lumbar spine")
PROCEDURE = ("363679005", "SCT", "Imaging procedure")
MILLIMETRE = ("mm", "UCUM", "mm")
RATIO = ("1", "UCUM", "no units")
PROBABILITY = ("122157", "DCM", "Probability")

_FINDINGS = {
    "pfirrmann": ("77547008", "SCT", "Degeneration of intervertebral disc"),
    "herniation": ("73589001", "SCT", "Herniation of intervertebral disc"),
    "spondylolisthesis": ("274152003", "SCT", "Spondylolisthesis"),
    "canal_stenosis": ("76107001", "SCT", "Spinal stenosis"),
    "foraminal_stenosis": private("foraminal", "Foraminal stenosis"),
    "subarticular_stenosis": private("subarticular", "Subarticular stenosis"),
}
_PRESENCE = {0: ("272519000", "SCT", "Absent"), 1: ("52101004", "SCT", "Present")}
_SEVERITY = {
    0: private("normal_or_mild", "normal or mild"),
    1: ("6736007", "SCT", "Moderate"),
    2: ("24484000", "SCT", "Severe"),
}

GRADE = private("grade", "Grade")
SET_MEMBER = private("grade_set", "Grade in the prediction set")
STANDS_BY = private("confident", "Model stands by its grade")
CONFIDENT = {True: private("yes", "Yes"), False: private("no", "No, uncertain")}
EVIDENCE = private("evidence", "Learnt from")
EVIDENCES = {"real": private("real", "Patients"), "synthetic": private("synthetic", "Synthetic studies alone")}
CAUTION = private("caution", "Caution")
RESEARCH = private("research_only", "Research use only, not for diagnosis or treatment decisions")
NUMBERING = private("numbering", "Levels are numbered from the lowest disc, not verified")
MEASUREMENT_CODES = {
    "disc_height_mm": private("disc_height", "Mean height of the disc"),
    "disc_depth_mm": private("disc_depth", "Depth of the disc along its axis"),
    "canal_depth_mm": private("canal_depth", "Depth of the spinal canal"),
    "slip_mm": private("slip", "Forward slip of the upper body"),
}


def side_of(target: Target) -> str:
    """``left``, ``right`` or nothing.

    >>> side_of(TARGETS[-1])
    'right'
    """
    return next((side for side in SIDES if target.name.endswith(f"_{side}")), "")


def finding_code(target: Target) -> Code:
    """What is graded, its side left out: that is said by the laterality of the site."""
    side = side_of(target)
    name = target.name.removesuffix(f"_{side}") if side else target.name
    return _FINDINGS.get(name) or private(name, target.title)


def grade_code(target: Target, grade: int) -> Code:
    """A grade of a target's scale."""
    if target.scale is Scale.BINARY:
        return _PRESENCE[grade]
    if target.name in ("pfirrmann", "modic"):
        return private(f"{target.name}_{grade}", target.words[target.index_of(grade)])
    return _SEVERITY[grade]


TARGET_OF_CODE = {(finding_code(target)[0], side_of(target)): target for target in TARGETS}
LEVEL_OF_CODE = {code[0]: level for level, code in LEVEL_CODES.items()}
MEASUREMENT_OF_CODE = {code[0]: name for name, code in MEASUREMENT_CODES.items()}


def grade_of_code(target: Target, value: str) -> int:
    """The grade that a code of ``grade_code`` stands for; KeyError where it stands for none of this target."""
    return {grade_code(target, grade)[0]: grade for grade in target.grades}[value]
