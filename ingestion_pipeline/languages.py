"""Which language a text is in, told from its script and its commonest words.

Light on purpose: it runs after every run, over a sample of a collection. Trained identifiers know
more languages, but need 0.6 s and 100 MB to load. Between near relatives (Danish and Norwegian,
Serbian and Croatian) it is not to be trusted, and a text without words of any language known here
has none: tables, programs, lists of names.

Belongs here: the languages' marks and the decision. Does not belong here: what follows from it.
"""

# ruff: noqa: RUF001 - letters of other scripts look like Latin ones

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

_LOOKED_AT = 600
"""Characters of a text; more hardly changes the answer."""
_FEWEST_LETTERS = 12
_FEWEST_DIFFERENT = 2
"""Common words of one language; single letters do not count, as formulas are full of them."""
_LEAST_SHARE = 0.08
"""Of the words: common words of one language. Agglutinating languages have the fewest."""
_LEAST_OTHER_SCRIPT = 0.3
"""Of the letters: among Latin names and units, as one Chinese letter says as much as several."""
_LEAST_KANA = 0.1
"""Of the letters: Chinese has none."""

NAMES = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gd": "Scottish Gaelic",
    "gl": "Galician",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mr": "Marathi",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""Every language that can be told, by its ISO 639-1 code."""

_OTHER_CODES = {"nb": "no", "nn": "no", "fil": "tl", "iw": "he"}

_SCRIPTS = {
    "CJK": "zh",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "THAI": "th",
    "LAO": "lo",
    "KHMER": "km",
    "MYANMAR": "my",
    "GREEK": "el",
    "HEBREW": "he",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "ETHIOPIC": "am",
    "BENGALI": "bn",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
}
"""The language of a script; the likeliest where several share it and no common word decides."""

_COMMON = {
    "LATIN": {
        "af": "die en van is het nie vir met dat wat om te word deur aan sal as kan hierdie jou",
        "ca": "el la els les de i que en del per amb una és no als són aquest aquesta més o",
        "cs": "a v na se je že do z pro s jako by jsou od nebo není k o ve který tato pokud",
        "cy": "y yr a i o yn ei ac ar am mae wedi gan nid hwn eich neu bod hon",
        "da": "og at det er en den til på for af med som ikke der de har et fra eller kan du blev",
        "de": "der die und den das von zu mit dem des ist nicht ein eine auf für auch sich werden "
        "als bei oder wird sind sie im kann",
        "en": "the of and to in is that for with was are be this by from which not have has it on "
        "as or an at were a can will you its been he his who",
        "es": "el la los las de que y en del se por con para una un es al como su no más o este",
        "et": "ja on ei et see mis kui ka oma või ning selle seda pole mitte palun",
        "eu": "eta da ez bat ere du dira dago hau edo izan behar dute baino egin dugu",
        "gd": "a an na agus air do gu e chan tha bha le is nan airson bhith no seo",
        "fi": "ja on ei että se hän joka ovat myös tai kun mutta oli kanssa jos voi sen ole tämä",
        "fr": "le la les des et de du une un est que dans pour qui sur par pas avec au sont ce "
        "il en vous ou cette",
        "ga": "an na agus ar is le do go sé bhí tá seo sin nó ag leis ní atá",
        "gl": "o a os as e que de do da en non unha un para por se con é ou este dos na no",
        "hr": "je i u na se da za su od koji nije kao ili ne s sa biti ovaj može o",
        "hu": "a az és hogy nem egy is van meg ez de csak vagy mint ki nincs kell volt lehet",
        "id": "yang dan di untuk dengan ini dari pada tidak dalam adalah itu ke atau akan telah "
        "anda sebuah",
        "is": "og að er í á sem við til en ekki það fyrir um af eða þessi með hann þú var",
        "it": "il di che e la per un una del della dei con non è sono gli le si nel da in i al o "
        "questo",
        "lt": "ir yra kad bei iš į su kaip ar ne tai buvo nėra jūsų šis šį turi arba už dėl",
        "lv": "un ir ar no par kas uz kā vai tika nav lai šo šis jūsu jūs tiek pie būt",
        "nl": "de het een en van in is dat op te voor met zijn niet die aan door wordt u of deze "
        "er bij als kan",
        "no": "og at det er en til på for av med som ikke den har et de fra eller kan ble du",
        "pl": "i w na z się do nie że jest o to od dla przez jak po są lub oraz być",
        "pt": "o a os as de do da dos das que e em para com uma um não é no na por se ou este mais",
        "ro": "și de în la a cu pe că este din nu o pentru care sunt mai să au fi sau un al",
        "sk": "a v na sa je že do z pre s ako by sú od alebo nie k o vo ktorý táto ak",
        "sl": "je in na se za da so pri ki ne ali z s v ni od po bil lahko ta tega",
        "sq": "dhe të në e për me një është nga i si nuk që më ose ju së kjo",
        "sv": "och att det som en på är av för med den till inte har ett de om från eller kan du",
        "sw": "na ya wa kwa ni katika za la hii kuwa au cha hiyo kama hili",
        "tl": "ang ng sa mga na ay at hindi para ito kung may ni isang",
        "tr": "ve bir bu için ile da de olarak olan çok daha gibi ne değil veya bu mi en",
        "vi": "và của là các được trong cho có không với một này những đã bạn để người hoặc",
    },
    "CYRILLIC": {
        "be": "і ў не на што з як гэта для да быць або вы у па ад",
        "bg": "и на да се от за е в не са че с по като или тази",
        "mk": "и на да се за од е во не со или ова што",
        "ru": "и в не на что с по как это из для он к или от вы был",
        "sr": "и у је на да се за су од није као или не са ово",
        "uk": "і в не на що з та як це для є від або у до цей ви",
    },
    "ARABIC": {
        "ar": "في من على إلى أن هذا هذه التي عن لا أو مع كان ما",
        "fa": "و در به از که این است را با برای یک آن می شود",
        "ur": "کے میں کی ہے اور سے کا کو یہ نہیں پر ہیں",
    },
    "DEVANAGARI": {
        "hi": "है के में की और का से को यह हैं नहीं पर या",
        "mr": "आहे आणि या नाही ते हे आहेत किंवा एक तुमच्या",
        "ne": "छ र को मा छन् यो पनि लागि हो गर्न वा",
    },
}
"""The commonest words of languages that share a script."""


def _by_word(common: dict[str, str]) -> dict[str, list[str]]:
    """Return the languages in which each word is common."""
    found: dict[str, list[str]] = {}
    for code, words in common.items():
        for word in set(words.split()):
            found.setdefault(word, []).append(code)
    return found


_LANGUAGES = {script: _by_word(common) for script, common in _COMMON.items()}
_ADDRESS = re.compile(r"\S*(?:://|@|www\.)\S*")
_WORD = re.compile(r"(?:[^\W\d_]|[\u0900-\u0963])+")
"""Letters, and the marks that Indic vowels are."""


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of the language of a text, None if nothing tells it."""
    text = _ADDRESS.sub(" ", text[:_LOOKED_AT].lower())
    scripts = _scripts(text)
    letters = scripts.total()
    if letters < _FEWEST_LETTERS:
        return None
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > _LEAST_KANA * letters:
        return "ja"
    other = max(_SCRIPTS, key=lambda script: scripts[script])
    if scripts[other] < _LEAST_OTHER_SCRIPT * letters:
        return _by_words(text, "LATIN")
    return _by_words(text, other) or _SCRIPTS[other]


def usual_code(code: str) -> str:
    """Return the code that ``language_of`` gives for a language that has several."""
    return _OTHER_CODES.get(code, code)


def _by_words(text: str, script: str) -> str | None:
    languages = _LANGUAGES.get(script, {})
    words = _WORD.findall(text)
    hits = Counter(code for word in words for code in languages.get(word, ()))
    if not hits:
        return None
    best, count = hits.most_common(1)[0]
    different = {word for word in words if len(word) > 1 and best in languages.get(word, ())}
    enough = len(different) >= _FEWEST_DIFFERENT and count >= _LEAST_SHARE * len(words)
    return best if enough else None


def _scripts(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            counts[_script(character)] += count
    return counts


@cache
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]
