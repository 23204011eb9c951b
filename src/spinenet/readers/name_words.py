"""What words of a series' name say of fat suppression, contrast agent and Dixon pictures, negations understood.

A negation belongs to the word that follows or precedes it (``no fat sat``, ``FS off``); ``w/wo`` and its like name both
and so tell nothing. Texts are ``vocabulary.plain_text``.
"""

import re

from spinenet.readers.vocabulary import plain_text

FAT, WATER, IN_PHASE, OPPOSED = "fat", "water", "in phase", "opposed phase"

_NO = (
    r"(?<![a-z0-9])(?:no|non|not|without|wo|w o|sans|sin|sem|senza|ohne|keine?|bez|zonder|geen|uden|utan|uten|ilman|nem"
    r"|fara|ingen|inget|tanpa|khong)"
)
_WITH = r"(?:w|with|mit|avec|con|com|met|med|ile|z|s|pre|vor|avant|prima)"
_AND = r"(?: ?(?:and|und|et|y|e|en|och|og|ve|i|\+|or|oder) ?| )"
_FILLER = r"(?: (?:the|any|de|da|di|la|du|use of|iv|i v))*"

_FAT_DARK_WORDS = (
    r"(?:(?:fs|fatsat|fat ?sat|fatsup\w*|spair|spir|aspir|chem ?sat|chess|msfs)(?![a-z])"
    r"|fat ?(?:sup|sat)\w*|(?:sup|sat)\w* ?fat(?![a-z])"
    r"|fett ?(?:ges|unter|sup|sat|undertr|mett)\w*|fedt ?(?:sup|und|maet)\w*"
    r"|(?:sat|satur\w*|sup\w*|sopp\w*)(?: de| di| da)?(?: la)? ?(?:gras|grais|gord)\w*"
    r"|(?:gras|grais|gord)\w* ?(?:sat|sup)\w*|vet ?(?:onder|sup|sat)\w*|yag ?bas(?!\w*siz)\w*"
    r"|rasva ?(?:sup|sat)\w*|zsir ?elny\w*|xoa mo(?![a-z])|supresi lemak"
    r"|(?:sat\w* |potlac\w* )?(?:tluszcz|tuku)\w*)"
)
_FAT_DARK = re.compile(rf"(?<![a-z]){_FAT_DARK_WORDS}|t[12]w?[ _-]?fs(?![a-z])")
_NO_FAT_DARK = re.compile(
    rf"{_NO}{_FILLER} ?{_FAT_DARK_WORDS}|yag ?bas\w*siz\w*"
    rf"|(?<![a-z]){_FAT_DARK_WORDS} ?(?:off|no|without|nein)(?![a-z])"
)
_AGENTS = (
    r"(?:gad\w*|gd|dotarem\w*|magnevist|multihance|omniscan|prohance|clariscan|elucirem|vueway|eovist|primovist"
    r"|optimark|ablavar|magnograf|contrast\w*|kontrast(?!s[iy]z)\w*|kontras[cz]\w*|inject\w*|injet\w*|iniez\w*|enhanced"
    r"|km|mdc|varjoaine\w*|ce)"
)
_C = rf"(?:{_AGENTS}(?![a-z])|(?<![0-9] )(?<![0-9])cm(?![a-z])|iv(?![a-z]))"
_BOTH = re.compile(
    rf"(?<![a-z]){_WITH}{_AND}(?:{_NO}|post|nach|apres|dopo|w ?o)(?![a-z])(?:{_FILLER} ?{_C})?"
    rf"|(?<![a-z])w ?wo(?![a-z])(?: ?{_C})?"
)
_PLAIN = re.compile(
    rf"{_NO}{_FILLER} ?(?:i ?v ?)?{_C}|(?<![a-z])(?:pre|vor|avant|prima|antes)(?: de| del| di)? ?{_C}"
    r"|(?<![a-z])(?:unenhanced|noncontrast|nativ\w*|pre|precontrast\w*|kontrasts[iy]z\w*)(?![a-z])"
    rf"|(?<![a-z]){_C} ?(?:off|without)(?![a-z])"
)
_POST_OTHER = (
    r"(?! ?(?:op|ope|operat\w*|surg\w*|lami\w*|fusion\w*|trauma\w*|disc\w*|fract\w*|fx|proc\w*|sat|fat|treat\w*"
    r"|chirurg\w*)(?![a-z]))"
)
_CONTRAST = re.compile(
    rf"(?<![a-z0-9+]){_C}|\+ ?c(?![a-z])|(?<![a-z])c ?\+"
    rf"|(?<![a-z])post(?:c|gd|gad\w*|contrast\w*|km)?(?![a-z]){_POST_OTHER}"
)

_DIXON = r"(?:dixon|m ?dixon|flex|ideal|wfi|wfs|water fat)"
_PARTS = {
    OPPOSED: "opp|op|oop|out|outphase|out ?(?:of )?phase|opposed(?: phase)?|opp ?phase",
    FAT: "f|fat|fett|fat only",
    WATER: "w|wat|water|wasser|water only",
    IN_PHASE: "in|ip|inphase|in phase",
}
_IN_NAME = {part: re.compile(rf"(?<![a-z])(?:{words})(?![a-z])") for part, words in _PARTS.items()}
_AFTER_DIXON = re.compile(rf"(?<![a-z]){_DIXON}(?![a-z])")
_FIRST = {
    part: re.compile(rf" ?(?:{words})(?![a-z]) (?=.*(?<![a-z]){_DIXON}(?![a-z]))") for part, words in _PARTS.items()
}
_OUTRIGHT = re.compile(r"(?<![a-z])(?:out of phase|opposed phase|opp phase|outphase|out phase)(?![a-z])")


def says_fat_dark(text: str) -> bool:
    """Whether a name says that fat was suppressed.

    >>> says_fat_dark("t2 fs sag"), says_fat_dark("sag t2 non fs"), says_fat_dark("t2 sag sans fatsat")
    (True, False, False)
    """
    return bool(_FAT_DARK.search(_NO_FAT_DARK.sub(" ", text)))


def says_contrast(text: str) -> bool | None:
    """Whether a name says that the image was made after contrast agent, or before or without it; None where it does
    not say.

    >>> says_contrast("sag t1 post gd"), says_contrast("sag t1 pre"), says_contrast("lumbar spine w wo contrast")
    (True, False, None)
    """
    said = _BOTH.sub(" ", text)
    rest = _PLAIN.sub(" ", said)
    if _CONTRAST.search(rest):
        return True
    return False if rest != said else None


def dixon_part(text: str, image_type: str) -> str:
    """Which picture of a Dixon acquisition a series is, by image type or name; "" where it is none.

    >>> dixon_part("t2 tse dixon sag w", ""), dixon_part("outphase sag t2 fse flex", ""), dixon_part("t2 w sag", "")
    ('water', 'opposed phase', '')
    """
    codes = image_type.upper().replace("_", " ").split()
    for part, known in _TYPES.items():
        if set(codes) & known:
            return part
    if _OUTRIGHT.search(text):
        return OPPOSED
    behind = _AFTER_DIXON.search(text)
    if not behind:
        return ""
    for part in _PARTS:
        if _FIRST[part].match(text) or _IN_NAME[part].search(text, behind.end()):
            return part
    return ""


_TYPES = {
    OPPOSED: frozenset({"OP", "OPP", "OUT", "OOP", "OPPOSED"}),
    FAT: frozenset({"F", "FAT"}),
    WATER: frozenset({"W", "WATER"}),
    IN_PHASE: frozenset({"IP", "IN"}),
}


def names_no_agent(value: str) -> bool:
    """Whether what stands under contrast agent in a header says that none was given, or nothing at all.

    >>> names_no_agent("NO CONTRAST"), names_no_agent("n/a"), names_no_agent("DOTAREM"), names_no_agent("IV")
    (True, True, False, False)
    """
    return not re.search(r"\w", value) or bool(_NO_AGENT.fullmatch(plain_text(value).strip()))


_NO_AGENT = re.compile(
    r"(?:no|not|non|none|nil|null|false|without|w o|wo|sans|sin|sem|senza|ohne|keine?|bez|zonder|geen)(?: .*)?"
    r"|n|na|n a|unknown|unk|undefined|unspecified|0+(?: ?ml| 0+)?|anon\w*|removed|de ?identified|dummy|redacted"
    r"|masked|text|x+|nein|nao|nessuno|aucun|ninguno|brak|native?|plain|pre|other"
)
