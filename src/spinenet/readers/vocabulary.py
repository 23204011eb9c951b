"""Words of series names in the languages of the scanners' users, brought to one plain alphabet.

Weightings are written T1 and T2 everywhere, in Cyrillic or full-width letters at times; what else tells a view apart
(fat suppression, contrast agent, body part, localiser) is translated from scripts that plain letters cannot hold.
"""

import re
import unicodedata

_LETTERS = str.maketrans({"ł": "l", "ı": "i", "ø": "o", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe"})
_CYRILLIC_T = re.compile("т(?=[12])")

_TRANSLATED = {
    "fatsat": "脂肪抑制 脂肪饱和 脂肪飽和 压脂 壓脂 抑脂 지방억제 жироподав подавлени сатурац καταστολη שומן الدهون",
    "contrast": "造影 增强 增強 조영 контраст гадолин σκιαγραφ ניגוד صبغة تباين",
    "native": "単純 平扫 平掃 造影前 增强前 增強前 조영전 натив",
    "without": "без 无 無 非 不 なし 없이 비 χωρις ללא بدون",
    "localizer": "定位 位置決 위치잡이 локалайз локализ топограм разметк",
    "cervical": "颈 頸 頚 경추 шейн αυχεν צוואר عنق",
    "thoracic": "胸椎 흉추 грудн θωρακ",
    "lumbar": "腰 요추 поясн οσφυ מותני قطني",
    "diffusion": "拡散 扩散 弥散 擴散 확산 диффуз",
}


def plain_text(text: str) -> str:
    """Lower case without accents, separators as single spaces, so that one pattern serves several languages.

    >>> plain_text("T2_TSE-Sag (Répérage)")
    't2 tse sag reperage '
    >>> plain_text("腰椎 Ｔ２ 脂肪抑制").split()
    ['lumbar', 't2', 'fatsat']
    >>> plain_text("Т2 саг").split()
    ['t2']
    """
    latin = _CYRILLIC_T.sub("t", _bare(text.replace("+/-", " w wo ")).translate(_LETTERS))
    english = _FOREIGN.sub(lambda found: f" {_ENGLISH[found[0]]} ", latin)
    return re.sub(r"[^a-z0-9*+]+", " ", english)


def _bare(text: str) -> str:
    """Lower case, compatible forms made one, accents dropped."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


_ENGLISH = {_bare(word): english for english, words in _TRANSLATED.items() for word in words.split()}
_FOREIGN = re.compile("|".join(map(re.escape, sorted(_ENGLISH, key=len, reverse=True))))
