from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import ocr
from ingestion_pipeline.parsing.ocr import OcrLine, read_picture, turned
from ingestion_pipeline_tests.parsing.picture_samples import NOTICE, chinese, page

WITHOUT_NETWORK = """
import os, sys
def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"}:
        os._exit(3)
sys.addaudithook(refuse)
from ingestion_pipeline.parsing.ocr import read_picture
from ingestion_pipeline_tests.parsing.picture_samples import page
assert not any(name in sys.modules for name in ("rapidocr", "onnxruntime", "cv2", "numpy"))
print([line.text for line in read_picture(page(["Nothing is fetched."]))])
"""


def texts(lines: Sequence[OcrLine]) -> list[str]:
    return [line.text for line in lines]


def test_english_is_read_with_places_in_pixels() -> None:
    image = page(NOTICE)
    first, second = read_picture(image)
    assert (first.text, second.text) == NOTICE
    assert first.confidence > 0.9
    assert (first.left, first.top) == pytest.approx((40, 30), abs=12)
    assert first.right <= image.width
    assert first.bottom < second.bottom <= image.height


@pytest.mark.parametrize("text", ["中日工口田", "山上王二土"])
def test_chinese_is_read(text: str) -> None:
    assert texts(read_picture(chinese(text))) == [text]


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "I;16"])
def test_pictures_of_any_mode_are_read(mode: str) -> None:
    image = page(NOTICE)
    if mode == "I;16":
        deep = np.asarray(image.convert("L")).astype(np.uint16) * 200
        image = Image.fromarray(deep)
    else:
        image = image.convert(mode)
    assert image.mode == mode
    assert texts(read_picture(image)) == list(NOTICE)


def test_what_is_transparent_is_paper() -> None:
    image = Image.new("RGBA", (500, 80), (0, 0, 0, 0))
    ImageDraw.Draw(image).text(
        (30, 20), "Dark on glass", font=ImageFont.load_default(30), fill="#111"
    )
    assert texts(read_picture(image)) == ["Dark on glass"]


def test_an_array_is_red_green_blue() -> None:
    pixels = np.asarray(page(NOTICE))
    assert texts(read_picture(pixels)) == list(NOTICE)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_page_on_its_side_or_head_is_read_in_its_order(turns: int) -> None:
    upright = page([*NOTICE, "The committee meets on Mondays."])
    lying = upright.rotate(-90 * turns, expand=True)
    lines = read_picture(lying)
    assert texts(lines) == [*NOTICE, "The committee meets on Mondays."]
    assert {line.turns for line in lines} == {turns}
    assert all(0 <= line.left < line.right <= lying.width for line in lines)
    assert all(0 <= line.top < line.bottom <= lying.height for line in lines)


def test_a_very_long_line_is_read_in_parts() -> None:
    line = "Receipts are handed in within a month of the return, each with its date. " * 3
    read = " ".join(texts(read_picture(page([line.strip()], size=20))))
    assert read.replace(" ", "") == line.replace(" ", "")


def test_a_picture_without_text_has_no_lines() -> None:
    assert read_picture(Image.new("RGB", (300, 200), "grey")) == []


@pytest.mark.parametrize("size", [(1, 1), (3000, 3), (3, 3000), (7, 7), (2600, 9), (9, 2600)])
def test_pictures_of_any_shape_are_survived(size: tuple[int, int]) -> None:
    assert read_picture(Image.new("L", size, 255)) == []


def test_nothing_is_fetched_written_out_or_loaded_before_it_is_needed() -> None:
    command = [sys.executable, "-c", WITHOUT_NETWORK]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['Nothing is fetched.']\n"


def test_without_its_packages_an_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ocr, "reads_pictures", lambda: False)
    with pytest.raises(PermanentError, match=r"install ingestion-pipeline\[ocr\]") as raised:
        read_picture(page(NOTICE))
    assert raised.value.kind is ErrorKind.DEPENDENCY_MISSING


def test_a_line_turned_four_times_is_where_it_was() -> None:
    line = OcrLine("a", 1, 2, 30, 5, 1.0, turns=3)
    assert turned(turned(line, 1), 3) == line
    assert turned(line, 4) == line
    assert turned(line, 3).turns == 0


def at(text: str, left: float, top: float, width: float = 200, height: float = 10) -> OcrLine:
    return OcrLine(text, left, top, left + width, top + height, 1.0)


def ordered(lines: Sequence[OcrLine]) -> str:
    return "".join(texts(ocr._in_reading_order(lines[::-1])))


def test_columns_are_read_one_after_the_other_below_what_stands_above_both() -> None:
    left = [at(name, 0, 20 + 15 * row) for row, name in enumerate("bcde")]
    right = [at(name, 220, 20 + 15 * row) for row, name in enumerate("fghi")]
    title, footer = at("a", 0, 0, width=420), at("j", 0, 100, width=420)
    assert ordered([title, *left, *right, footer]) == "abcdefghij"


def test_a_table_is_read_row_by_row() -> None:
    cells = [at(name, 100 * (n % 3), 15 * (n // 3), width=50) for n, name in enumerate("abcdefghi")]
    assert ordered(cells) == "abcdefghi"


def test_columns_of_japanese_are_read_from_the_right() -> None:
    columns = [
        OcrLine(text, left, 0, left + 10, 200, 1.0, turns=1)
        for text, left in (("三番目", 0), ("二番目", 20), ("一番目", 40))
    ]
    assert ordered(columns) == "一番目二番目三番目"


def test_a_page_that_is_hardly_read_is_not_trusted() -> None:
    good, poor, mark = at("good", 0, 0), at("poor", 0, 20), at(",  -", 0, 40)
    poor = replace(poor, confidence=0.5)
    assert ocr._trusted([good, poor, mark]) == [good]
    assert ocr._trusted([replace(good, confidence=0.85), poor]) == []


def test_a_stamp_in_the_margin_comes_last() -> None:
    stamp = OcrLine("arXiv", 0, 0, 10, 100, 1.0, turns=3)
    lines = [at("first ", 20, 0), stamp, at("second ", 20, 50), at("third ", 20, 90)]
    assert ordered(lines) == "first second third arXiv"
