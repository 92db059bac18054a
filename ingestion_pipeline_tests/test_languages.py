# ruff: noqa: RUF001 - letters of other scripts look like Latin ones

from __future__ import annotations

import pytest

from ingestion_pipeline.languages import NAMES, language_of, usual_code

PASSAGES = {
    "ar": "يجب إعادة جميع المجسات إلى المختبر في كل عام من أجل المعايرة، ولا يتم قبول أي جهاز.",
    "bg": "Всички сонди се връщат в лабораторията за калибриране и на всяка от тях "
    "се издава протокол.",
    "cs": "Všechny sondy se vracejí do laboratoře a na každé z nich je štítek, který nesmí být "
    "poškozen, jinak se nepřijímá.",
    "da": "Alle sonder skal sendes til laboratoriet for at blive kalibreret, og der er et skema, "
    "som ikke må mangle.",
    "de": "Alle Sonden werden einmal im Jahr an das Labor geschickt und dort mit einem Normal "
    "verglichen; die Kosten trägt der Kunde.",
    "el": "Όλοι οι αισθητήρες επιστρέφονται στο εργαστήριο μία φορά τον χρόνο.",
    "en": "All probes are sent to the laboratory once a year, where they are compared with a "
    "standard; the costs are carried by the customer.",
    "es": "Todas las sondas se envían al laboratorio una vez al año, y el cliente paga los costes "
    "de la calibración por su cuenta.",
    "fa": "همه حسگرها هر سال به آزمایشگاه فرستاده می شود و در آنجا با یک استاندارد مقایسه است.",
    "fi": "Kaikki anturit lähetetään laboratorioon kerran vuodessa, ja ne ovat siellä kun niitä "
    "verrataan, mutta se ei maksa.",
    "fr": "Toutes les sondes sont envoyées au laboratoire une fois par an, et les frais de "
    "l'étalonnage sont à la charge du client.",
    "he": "כל החיישנים נשלחים למעבדה פעם בשנה לצורך כיול והשוואה לתקן.",
    "hi": "सभी सेंसर साल में एक बार प्रयोगशाला में भेजे जाते हैं और उनकी तुलना मानक से की जाती है।",
    "hu": "Minden szondát évente egyszer a laborba küldenek, és az nem lehet hibás, hogy a mérés "
    "pontos legyen.",
    "it": "Tutte le sonde sono inviate al laboratorio una volta all'anno, e i costi della taratura "
    "non sono a carico del fornitore.",
    "ja": "すべてのプローブは年に一度、校正のために研究所へ送られます。",
    "ko": "모든 프로브는 일 년에 한 번 교정을 위해 실험실로 보내야 합니다.",
    "nl": "Alle sondes worden een keer per jaar naar het laboratorium gestuurd en daar met een "
    "standaard vergeleken; de kosten zijn voor de klant.",
    "pl": "Wszystkie sondy są wysyłane do laboratorium raz w roku i nie przyjmuje się ich, jeśli "
    "nie jest do nich dołączony formularz.",
    "pt": "Todas as sondas são enviadas para o laboratório uma vez por ano, e os custos da "
    "calibração não são do fornecedor.",
    "ru": "Все датчики раз в год отправляют в лабораторию, и там их сравнивают с эталоном, что "
    "не входит в цену.",
    "sv": "Alla sonder skickas till laboratoriet en gång om året för att jämföras med en standard, "
    "och det ingår inte i priset.",
    "th": "หัววัดทั้งหมดจะถูกส่งไปยังห้องปฏิบัติการปีละครั้ง",
    "tr": "Tüm sondalar yılda bir kez laboratuvara gönderilir ve orada bir standart ile "
    "karşılaştırılır; bu çok önemli olan bir adımdır.",
    "uk": "Усі датчики раз на рік надсилають до лабораторії, і там їх порівнюють з еталоном, що "
    "не входить у ціну.",
    "vi": "Tất cả các đầu dò được gửi đến phòng thí nghiệm một lần trong năm và không có phí cho "
    "người dùng.",
    "zh": "所有探头每年送回实验室校准一次，费用由客户承担。",
}


@pytest.mark.parametrize("code", PASSAGES)
def test_a_language_is_told_by_its_script_and_common_words(code: str) -> None:
    assert language_of(PASSAGES[code]) == code
    assert language_of(PASSAGES[code].upper()) == code


def test_every_language_that_is_told_has_a_name() -> None:
    assert set(PASSAGES) <= set(NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Siltwarden 4",
        "17 | 23.5 | 99\n18 | 24.1 | 98\n" * 10,
        "def scaled(self, factor): return replace(self, value=self.value * factor)",
        "https://t.me/rain/1 ; https://example.com/e/a ; www.example.com ; me@example.com ; com",
        "s = r + i; r = o + a; i = s + r",
        "Ortega Lindqvist Nakamura Okafor Petrov Quispe Rossi Schmidt Tanaka",
    ],
    ids=["nothing", "a few letters", "numbers", "program", "addresses", "formulas", "names"],
)
def test_a_text_without_common_words_has_no_language(text: str) -> None:
    assert language_of(text) is None


def test_chinese_among_latin_names_and_units_is_chinese() -> None:
    text = "Siltwarden 4 探头在 Brookledger 平台申请返厂编号，格式为 CR-004217，请写在包装箱外侧。"

    assert language_of(text) == "zh"


def test_a_foreign_name_does_not_make_english_foreign() -> None:
    assert language_of("Wangliang (魍魎 or 罔两) is the name of a spirit in the folklore.") == "en"


def test_some_languages_have_several_codes() -> None:
    assert [usual_code(code) for code in ("nb", "nn", "en")] == ["no", "no", "en"]
