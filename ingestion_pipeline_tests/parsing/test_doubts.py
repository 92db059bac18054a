# ruff: noqa: E501, RUF001 - texts in many scripts

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.errors import Ask, ErrorKind
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline.parsing import doubts, parse
from ingestion_pipeline.parsing.cleaning import clean
from ingestion_pipeline.parsing.doubts import doubt
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.further_samples import ALL_FORMATS

ENGLISH = (
    "The committee approves every journey that lasts longer than a week, before it starts and "
    "before anybody books it. Tickets are booked by the office, receipts are handed in within a "
    "month of the return, and whoever travels alone tells a colleague where they are staying. "
    "Meals are paid at a fixed rate, and a car may be hired only where there is no railway."
)
GERMAN = (
    "Der Ausschuss genehmigt jede Reise, die länger als eine Woche dauert, bevor sie beginnt und "
    "bevor jemand sie bucht. Die Fahrscheine löst das Büro, Belege müssen spätestens einen Monat "
    "nach der Rückkehr übergeben werden, und wer allein fährt, erzählt einem Kollegen, wo er "
    "übernachtet. Die Höhe des Tagegeldes für Straßen- und Bahnfahrten ändert sich jährlich."
)
RUSSIAN = (
    "Комитет утверждает каждую поездку, которая длится дольше недели, до её начала и до того, как "
    "кто-нибудь её закажет. Билеты покупает контора, квитанции сдаются в течение месяца после "
    "возвращения, а тот, кто едет один, сообщает коллеге, где он остановился. Суточные платят по "
    "твёрдой ставке, а машину можно взять только там, где нет железной дороги поблизости."
)
GREEK = (
    "Η επιτροπή εγκρίνει κάθε ταξίδι που διαρκεί περισσότερο από μία εβδομάδα, πριν αρχίσει και "
    "πριν το κλείσει κάποιος. Τα εισιτήρια τα βγάζει το γραφείο, οι αποδείξεις παραδίδονται μέσα "
    "σε έναν μήνα από την επιστροφή, και όποιος ταξιδεύει μόνος λέει σε έναν συνάδελφο πού μένει."
)
CHINESE = (
    "超过一周的每次旅行都必须在开始之前以及任何人预订之前得到委员会的批准。车票由办公室预订,"
    "收据要在回来后一个月之内交上来,单独旅行的人要告诉同事自己住在什么地方。餐费按照固定的"
    "标准支付,只有在没有铁路的地方才可以租用汽车。"
)
JAPANESE = (
    "一週間を超える出張は、始まる前に、また誰かが予約する前に、委員会の承認を受けなければならない。"
    "切符は事務所が予約し、領収書は帰ってから一か月以内に提出する。一人で旅行する人は、どこに泊まる"
    "かを同僚に伝える。食事代は定額で支払われ、鉄道のない所でのみ車を借りることができる。"
)

GOOD = {
    "English": ENGLISH,
    "German": GERMAN,
    "Russian": RUSSIAN,
    "Greek": GREEK,
    "Chinese": CHINESE,
    "Japanese": JAPANESE,
    "capitals": ENGLISH.upper(),
    "Thai": (
        "คณะกรรมการต้องอนุมัติการเดินทางทุกครั้งที่นานกว่าหนึ่งสัปดาห์ก่อนที่จะเริ่มและก่อนที่จะมีใครจอง "
        "สำนักงานเป็นผู้จองตั๋ว ใบเสร็จต้องส่งภายในหนึ่งเดือนหลังจากกลับ และผู้ที่เดินทางคนเดียวต้องบอกเพื่อนร่วมงานว่าพักที่ไหน"
    ),
    "Arabic": (
        "توافق اللجنة على كل رحلة تستغرق أكثر من أسبوع قبل أن تبدأ وقبل أن يحجزها أحد. يحجز المكتب "
        "التذاكر، وتسلم الإيصالات خلال شهر من العودة، ومن يسافر وحده يخبر زميلا بالمكان الذي يقيم فيه."
    ),
    "Hebrew": (
        "הוועדה מאשרת כל נסיעה שנמשכת יותר משבוע לפני שהיא מתחילה ולפני שמישהו מזמין אותה. המשרד "
        "מזמין את הכרטיסים, הקבלות נמסרות בתוך חודש מהחזרה, ומי שנוסע לבדו מספר לעמית היכן הוא לן."
    ),
    "Hindi": (
        "समिति एक सप्ताह से लंबी हर यात्रा को शुरू होने से पहले और किसी के बुक करने से पहले मंजूरी देती है। "
        "टिकट कार्यालय बुक करता है, रसीदें वापसी के एक महीने के भीतर जमा की जाती हैं, और जो अकेले यात्रा "
        "करता है वह किसी सहकर्मी को बताता है कि वह कहाँ ठहरा है।"
    ),
    "Korean": (
        "일주일보다 긴 모든 여행은 시작하기 전에, 그리고 누군가 예약하기 전에 위원회가 승인한다. 표는 "
        "사무실에서 예약하고, 영수증은 돌아온 뒤 한 달 안에 내며, 혼자 여행하는 사람은 어디에 묵는지 "
        "동료에게 알린다. 식비는 정해진 금액으로 지급하고 철도가 없는 곳에서만 차를 빌릴 수 있다."
    ),
    "Vietnamese": (
        "Ủy ban phê duyệt mọi chuyến đi kéo dài hơn một tuần trước khi bắt đầu và trước khi có người "
        "đặt chỗ. Vé do văn phòng đặt, hóa đơn được nộp trong vòng một tháng sau khi trở về, và ai "
        "đi một mình thì báo cho đồng nghiệp biết mình đang ở đâu. Tiền ăn được trả theo mức cố định."
    ),
    "Polish": (
        "Komisja zatwierdza każdą podróż trwającą dłużej niż tydzień, zanim się zacznie i zanim "
        "ktokolwiek ją zarezerwuje. Bilety rezerwuje biuro, rachunki oddaje się w ciągu miesiąca od "
        "powrotu, a kto podróżuje sam, mówi współpracownikowi, gdzie się zatrzymał. Wyżywienie "
        "opłaca się według stałej stawki, a samochód wolno wynająć tylko tam, gdzie brak kolei."
    ),
    "Python": Path(doubts.__file__).read_text(),
    "numbers": "\n".join(" ".join(f"{n * k / 7:.3f}" for k in range(1, 9)) for n in range(40)),
    "nested numbers": str([[[n, -n], [n * n]] for n in range(200)]),
    "a formula": (
        r"\int_{0}^{\infty} e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2} \quad \forall x \in \mathbb{R},"
        r"\ \sum_{k=1}^{n} \binom{n}{k} \alpha^k \beta^{n-k} = (\alpha+\beta)^n - \beta^n \leq 1 "
    )
    * 5,
    "symbols of mathematics": "∀ε>0 ∃δ>0: |x−a|<δ ⇒ |ƒ(x)−ƒ(a)|<ε; ∑αᵢxᵢ ≤ ‖α‖·‖x‖ ± ½σ²; A∪B⊆C∩D "
    * 5,
    "acronyms": f"{ENGLISH} HTML XML SSL TCP HTTP SMTP FTPS SSH DNSSEC QWERTY",
    "genes": "\n".join(
        " ".join("".join(random.Random(n).choices("acgt", k=10)) for _ in range(6))
        for n in range(20)
    ),
    "proteins": "\n".join(
        "".join(random.Random(n).choices("ACDEFGHIKLMNPQRSTVWY", k=60)) for n in range(40)
    ),
    "a line across": "=" * 200 + "-+-" * 100,
    "bullets of a symbol font": "\n".join(f"\uf0b7 {line}" for line in ENGLISH.split(",")),
    "two garbled quotation marks": f"{ENGLISH * 2} It isnâ€™t and wonâ€™t be.",
    "little text": "brrr xkcd pfff " * 3,
}


def shifted(text: str) -> str:
    """Glyph numbers as if they were characters, as of TrueType fonts without a map."""
    return "".join(chr(ord(each) - 29) if each.isalpha() else each for each in text)


def numbered(first: int) -> Callable[[str], str]:
    """Letters numbered as they turn up, as in fonts that hold only what is used."""

    def encode(text: str) -> str:
        numbers: dict[str, str] = {" ": " "}
        return "".join(numbers.setdefault(each, chr(first + len(numbers))) for each in text)

    return encode


def read_as(written: str, read: str) -> Callable[[str], str]:
    return lambda text: text.encode(written, "ignore").decode(read, "replace")


BAD: list[tuple[str, Callable[[str], str]]] = [
    (ENGLISH, shifted),
    (GERMAN, shifted),
    (ENGLISH, numbered(0x21)),
    (RUSSIAN, numbered(0x21)),
    (ENGLISH, numbered(0x41)),
    (ENGLISH, numbered(0xA1)),
    (ENGLISH, numbered(0xE000)),
    (ENGLISH, lambda text: text.translate(str.maketrans("aeiou", "xqzvk"))),
    (ENGLISH, lambda text: "".join(f"(cid:{ord(each)})" for each in text)),
    (CHINESE, lambda text: "\ufffd" * len(text)),
    (ENGLISH, read_as("utf-8", "utf-16-le")),
    (GERMAN, read_as("utf-8", "cp1252")),
    (GERMAN, read_as("utf-8", "latin-1")),
    (GERMAN, read_as("utf-8", "mac_roman")),
    (GREEK, read_as("utf-8", "latin-1")),
    (GREEK, read_as("cp1253", "cp1252")),
    (RUSSIAN, read_as("utf-8", "cp1252")),
    (RUSSIAN, read_as("utf-8", "cp1251")),
    (RUSSIAN, read_as("cp1251", "latin-1")),
    (RUSSIAN, read_as("koi8_r", "cp1251")),
    (RUSSIAN, read_as("cp866", "cp1251")),
    (CHINESE, read_as("utf-8", "gbk")),
    (CHINESE, read_as("gbk", "cp1252")),
    (JAPANESE, read_as("shift_jis", "cp1252")),
    (JAPANESE, read_as("utf-8", "cp1252")),
]


def document(
    text: str, category: ElementCategory = ElementCategory.NARRATIVE_TEXT
) -> ParsedDocument:
    return ParsedDocument("text/plain", (Element(category, text),))


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_good_text_is_not_doubted(text: str) -> None:
    assert doubt(document(clean(text)), "a.txt") is None


@pytest.mark.parametrize(("text", "damage"), BAD)
def test_rubbish_is_doubted(text: str, damage: Callable[[str], str]) -> None:
    question = doubt(document(clean(damage(text))), "a.txt")
    assert question is not None
    assert (question.kind, question.asks) == (ErrorKind.BROKEN, Ask.GO_ON)
    assert "a.txt looks like rubbish" in question.message


def test_rubbish_on_most_pages_of_a_long_document_is_found() -> None:
    pages = [shifted(ENGLISH) if page % 7 else ENGLISH for page in range(3000)]
    assert doubt(document("\n".join(pages)), "a.pdf") is not None


@pytest.mark.parametrize("category", [ElementCategory.TABLE, ElementCategory.CODE_SNIPPET])
def test_tables_and_code_need_no_words(category: ElementCategory) -> None:
    assert doubt(document(shifted(ENGLISH), category), "a.md") is None


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_a_good_document_of_any_format_is_not_doubted(name: str) -> None:
    assert doubt(parse(ALL_FORMATS[name](), name), name) is None


def test_a_font_with_a_wrong_map_is_found() -> None:
    lines = [line.replace(",", "") for line in samples.BODY * 3]
    good = {letter: letter for letter in string.ascii_letters}
    wrong = {letter: shifted(letter) for letter in string.ascii_letters}
    private = {letter: chr(0xF000 + ord(letter)) for letter in string.ascii_letters}
    assert doubt(parse(samples.pdf_with_font_map(lines, good), "a.pdf"), "a.pdf") is None
    for font_map in (wrong, private):
        parsed = parse(samples.pdf_with_font_map(lines, font_map), "a.pdf")
        question = doubt(parsed, "a.pdf")
        assert question is not None
        assert "its letters make no words" in question.message or "for nothing" in question.message


def test_a_scanned_document_asks_whether_to_go_on_without_text() -> None:
    parsed = parse(samples.pdf([samples.scanned_page] * 3 + [samples.empty_page]), "a.pdf")
    question = doubt(parsed, "a.pdf")
    assert question is not None
    assert (question.kind, question.asks) == (ErrorKind.EMPTY, Ask.GO_ON)
    assert "3 of 4 pages of a.pdf are scans" in question.message
    assert "a document without text" in question.message


@pytest.mark.parametrize(("scans", "doubted"), [(1, False), (2, False), (3, True)])
def test_scans_are_doubted_if_they_are_more_than_the_pages_with_text(
    scans: int, doubted: bool
) -> None:
    pages = [samples.chapter(1), samples.chapter(2), *[samples.scanned_page] * scans]
    question = doubt(parse(samples.pdf(pages), "a.pdf"), "a.pdf")
    assert (question is not None) is doubted
    assert question is None or "the text of the other pages alone" in question.message


@given(st.lists(st.text(min_size=1), max_size=5))
def test_any_text_can_be_judged(texts: list[str]) -> None:
    elements = tuple(Element(ElementCategory.NARRATIVE_TEXT, text) for text in texts)
    doubt(ParsedDocument("text/plain", elements), "a.txt")


def test_a_large_document_is_judged_in_less_than_a_second() -> None:
    parsed = document(GERMAN * 20_000)
    start = time.perf_counter()
    assert doubt(parsed, "a.txt") is None
    assert time.perf_counter() - start < 1
