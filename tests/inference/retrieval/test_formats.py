"""Word, CSV and image files: their text, their places, and the hostile ones."""

from __future__ import annotations

import contextlib
import csv
import io
import zipfile
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.inference.retrieval import docx_text as docx
from omni.inference.retrieval.csv_text import csv_text
from omni.inference.retrieval.docx_text import docx_text
from omni.kit.errors import DeadlineExceeded, InvalidInput, OmniError, TooLarge, UnsupportedType
from tests.inference.backend import Backend, refusal, usage
from tests.inference.files import image_file, pdf_file, png_header, text_image
from tests.inference.retrieval.conftest import new_collection
from tests.inference.retrieval.office_files import (
    RELATIONS,
    laughing_word_file,
    long_directory,
    lying_sizes,
    packed,
    reading_word_file,
    text_bomb,
    word,
    word_file,
)

MIB = 1024 * 1024
MAIN = "word/document.xml"
WORD_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TOWNS = (
    'Town;Inhabitants;Note\r\nLjubljana;295504;"The capital; it has\r\na castle"\n\n'
    "Piran;3760;\nKoper;;By the sea!;extra\n"
)


def forever() -> float:
    return 60.0


async def upload(tenant: Backend, path: str, name: str, data: bytes, content_type: str = "") -> httpx2.Response:
    file = (name, data, content_type) if content_type else (name, data)
    return await tenant.send("POST", f"{path}/documents", files={"file": file})


async def text_of(tenant: Backend, path: str, document: dict[str, Any]) -> str:
    where = f"{path}/documents/{document['id']}"
    text: str = (await tenant.send("GET", where, params={"include": "text"})).json()["text"]
    return text


def test_a_word_file_gives_what_a_reader_sees() -> None:
    assert docx_text(word_file(), MIB, forever) == (
        "# Garden rules\n\nDogs must be kept on a lead.\n\n## Fees\n\nA ticket costs forty\teuros.\n\n"
        "- spades\n- rakes\nName | Age\nAna | 7"
    )


def test_only_what_stands_in_a_word_file_is_read() -> None:
    text = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
    deleted = "<w:p><w:r><w:t>Kept</w:t></w:r><w:del><w:r><w:delText> gone</w:delText></w:r></w:del></w:p>"
    twice = f'<w:p><w:r><x:Fallback xmlns:x="y">{text.format("again")}</x:Fallback></w:r></w:p>'
    notes = f'<w:footnotes xmlns:w="w"><w:footnote>{text.format("A note.")}</w:footnote></w:footnotes>'
    nested = f"<w:tbl><w:tr><w:tc><w:tbl><w:tr><w:tc>{text.format('in')}</w:tc></w:tr></w:tbl></w:tc></w:tr></w:tbl>"
    data = word(deleted + twice + nested, **{"word/footnotes.xml": notes, "word/comments.xml": text.format("no")})
    assert docx_text(data, MIB, forever) == "Kept\n\nin\n\nA note."


HOSTILE: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "magic only": (lambda: b"PK\x03\x04", 400, "broken_document"),
    "cut": (lambda: word_file()[:-10], 400, "broken_document"),
    "overwritten": (lambda: word_file()[:2_000] + bytes(500) + word_file()[2_500:], 400, "broken_document"),
    "no relations": (lambda: packed({"a": b"b"}), 400, "broken_document"),
    "no main part": (lambda: packed({"_rels/.rels": RELATIONS}), 400, "broken_document"),
    "broken XML": (lambda: packed({"_rels/.rels": b"<a"}), 400, "broken_document"),
    "workbook": (lambda: packed({"_rels/.rels": RELATIONS, MAIN: "<workbook/>"}), 415, "content_type_mismatch"),
    "bzip2": (lambda: packed({"_rels/.rels": RELATIONS}, zipfile.ZIP_BZIP2), 400, "broken_document"),
    "entities": (laughing_word_file, 400, "broken_document"),
    "external entity": (reading_word_file, 400, "broken_document"),
    "document type": (lambda: word("<w:p><w:r><w:t>x</w:t></w:r></w:p>", "<!DOCTYPE x>"), 400, "broken_document"),
    "deep": (lambda: word("<w:p>" * 5_000), 400, "broken_document"),
    "directory": (long_directory, 413, "document_too_complex"),
    "elements": (lambda: word("<w:p/>" * 20_000), 413, "document_too_complex"),
    "bytes": (lambda: word(f"<w:p>{' ' * 999_999}</w:p>" * 9), 413, "document_too_complex"),
    "lying sizes": (lying_sizes, 400, "broken_document"),
    "text": (lambda: text_bomb(6), 413, "document_text_too_large"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_word_files_are_refused(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docx, "MAX_ELEMENTS", 20_000)
    monkeypatch.setattr(docx, "MAX_PART_BYTES", 8 * MIB)
    make, status, code = HOSTILE[case]
    data = make()
    assert len(data) < 3 * MIB
    with pytest.raises(OmniError) as error:
        docx_text(data, 5 * MIB, forever)
    assert (error.value.status, error.value.code) == (status, code)


def test_the_deadline_ends_reading() -> None:
    def over() -> float:
        raise DeadlineExceeded("deadline_exceeded", "over")

    with pytest.raises(DeadlineExceeded):
        docx_text(word_file(), MIB, over)
    with pytest.raises(DeadlineExceeded):
        csv_text("a\nb\n", MIB, over)


@given(st.binary(max_size=400), st.integers(0, 1_000))
@settings(max_examples=50)
def test_damaged_word_files_never_fail_otherwise(noise: bytes, at: int) -> None:
    data = word("<w:p><w:r><w:t>Some text.</w:t></w:r></w:p>")
    with contextlib.suppress(InvalidInput, TooLarge, UnsupportedType):
        docx_text(data[:at] + noise + data[at + len(noise) :], MIB, forever)


def test_rows_of_a_table_name_their_columns() -> None:
    text, rows = csv_text(TOWNS, MIB, forever)
    assert [text[start:end] for start, end in rows] == [
        "Town: Ljubljana; Inhabitants: 295504; Note: The capital; it has a castle.",
        "Town: Piran; Inhabitants: 3760.",
        "Town: Koper; Note: By the sea!; column 4: extra.",
    ]
    assert text == "\n\n".join(text[start:end] for start, end in rows)


cells = st.text(st.sampled_from('ab"\n,;1 š'), max_size=8)


@given(st.lists(st.lists(cells, min_size=1, max_size=4), max_size=6))
def test_every_cell_that_csv_reads_is_in_its_row(table: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([["a", "b", "c", "d"], *table])
    text, rows = csv_text(file.getvalue(), MIB, forever)
    full = [row for row in table if any(cell.split() for cell in row)]
    assert len(rows) == len(full)
    for (start, end), row in zip(rows, full, strict=True):
        for name, cell in zip("abcd", row, strict=False):
            assert not cell.split() or f"{name}: {' '.join(cell.split())}" in text[start:end]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a,b\n1,"open', (400, "broken_document")),
        ('a,b\n1,"x"y\n', (400, "broken_document")),
        ("a\n" + "x" * 200_000, (400, "broken_document")),
        ("a," * 1_001 + "\n1\n", (413, "document_too_complex")),
        ("long name of a column,b\n" + "1\n" * 60_000, (413, "document_text_too_large")),
        ("a\n" + "1\n" * MIB, (413, "document_text_too_large")),
    ],
)
def test_bad_tables_are_refused(text: str, expected: tuple[int, str]) -> None:
    with pytest.raises(OmniError) as error:
        csv_text(text, MIB, forever)
    assert (error.value.status, error.value.code) == expected


async def test_word_files_and_tables_are_found(tenant: Backend) -> None:
    path = await new_collection(tenant)
    documents = {}
    for name, data, kind in (
        ("rules.docx", word_file(), WORD_TYPE),
        ("towns.csv", TOWNS.encode("utf-8-sig"), "application/vnd.ms-excel"),
    ):
        response = await upload(tenant, path, name, data, kind)
        assert response.status_code == 201, response.text
        assert "pages" not in usage(response)
        documents[name] = response.json()
    assert [documents[name]["content_type"] for name in documents] == [WORD_TYPE, "text/csv"]
    for question, name, sentence in (
        ("How many inhabitants does Piran have?", "towns.csv", "Town: Piran; Inhabitants: 3760."),
        ("Do dogs need a lead?", "rules.docx", "Dogs must be kept on a lead."),
    ):
        best = (await tenant.post(f"{path}/answer", {"question": question})).json()["citations"][0]
        assert (best["document_name"], best["sentence"]) == (name, sentence)
        text = await text_of(tenant, path, documents[name])
        assert text[best["start"] : best["end"]] == sentence


async def test_chunks_of_a_table_are_whole_rows(tenant: Backend) -> None:
    path = await new_collection(tenant)
    table = "Town,Story\n" + "".join(f"Town {n},It was built in {1000 + n} by the sea.\n" for n in range(60))
    assert (await upload(tenant, path, "t.csv", table.encode())).json()["chunk_count"] > 3
    hits = (await tenant.post(f"{path}/search", {"query": "town by the sea", "top_k": 50})).json()["results"]
    for hit in hits:
        assert all(row.startswith("Town: Town ") and row.endswith("sea.") for row in hit["text"].split("\n\n"))
    assert sum(hit["text"].count("Story:") for hit in hits) == 60


async def test_images_are_read_and_their_pages_metered(tenant: Backend) -> None:
    path = await new_collection(tenant)
    image = text_image(["The harbour opens", "at seven in the morning."])
    response = await upload(tenant, path, "sign.png", image_file(image, "PNG"))
    document = response.json()
    assert (response.status_code, document["content_type"], document["page_count"]) == (201, "image/png", 1)
    assert usage(response)["pages"] == 1
    assert response.headers["omni-model"] == "all-MiniLM-L6-v2"
    text = await text_of(tenant, path, document)
    assert text.split("\n") == ["The harbour opens", "at seven in the morning."]
    again = await upload(tenant, path, "sign.png", image_file(image, "PNG"))
    assert (again.json()["outcome"], "omni-usage" in again.headers) == ("unchanged", False)


async def test_scanned_pages_of_a_pdf_are_read(tenant: Backend) -> None:
    path = await new_collection(tenant)
    scans = [text_image(["The harbour opens", "at seven in the morning."]), text_image(["Boats leave at nine."])]
    data = pdf_file([["Rules of the harbour"], scans[0], [], scans[1]])
    response = await upload(tenant, path, "scan.pdf", data)
    document = response.json()
    assert (response.status_code, document["page_count"], document["ocr_pages"]) == (201, 4, 2)
    assert usage(response)["pages"] == 4  # each once, however it was read
    assert response.headers["omni-model"] == "all-MiniLM-L6-v2"
    assert (await text_of(tenant, path, document)).split("\n\n") == [
        "Rules of the harbour",
        "The harbour opens\nat seven in the morning.",
        "",
        "Boats leave at nine.",
    ]
    found = await tenant.post(f"{path}/search", {"query": "When do boats leave?", "limit": 1})
    assert "Boats leave at nine." in found.json()["results"][0]["text"]
    again = (await upload(tenant, path, "scan.pdf", data)).json()
    assert (again["outcome"], again["ocr_pages"]) == ("unchanged", 0)


async def test_more_scanned_pages_than_ocr_reads_are_refused(tenant: Backend) -> None:
    path = await new_collection(tenant)
    page = text_image(["Page"], (200, 100))
    response = await upload(tenant, path, "book.pdf", pdf_file([["Title"], *[page] * 21]))
    assert (refusal(response), response.json()["max_pages"]) == ((413, "too_many_scanned_pages"), 20)
    assert (await tenant.send("GET", path)).json()["document_count"] == 0


async def test_a_scan_without_text_is_refused(tenant: Backend) -> None:
    path = await new_collection(tenant)
    blank = text_image([])
    assert refusal(await upload(tenant, path, "blank.pdf", pdf_file([blank]))) == (400, "document_has_no_text")


async def test_pages_of_a_pdf_are_metered(tenant: Backend) -> None:
    path = await new_collection(tenant)
    assert usage(await upload(tenant, path, "two.pdf", pdf_file([["One."], ["Two."]])))["pages"] == 2


@pytest.mark.parametrize(
    ("name", "data", "content_type", "expected"),
    [
        ("a.docx", b"plain text", "", (415, "content_type_mismatch")),
        ("a.txt", word_file(), "", (415, "content_type_mismatch")),
        ("a.docx", word("<w:p/>"), "", (400, "document_has_no_text")),
        ("a.csv", b"a,b\n", "", (400, "document_has_no_text")),
        ("a.csv", b"\xff,1\n", "", (400, "document_not_utf8")),
        ("a.png", b"GIF89a", "image/png", (415, "unsupported_media_type")),
        ("a.png", b"%PDF-1.4", "image/png", (415, "content_type_mismatch")),
        ("a.png", png_header(50_000, 50_000), "", (413, "image_too_large")),
        ("a.xls", b"x", "application/vnd.ms-excel", (415, "unsupported_media_type")),
    ],
)
async def test_bad_files_are_refused_and_leave_nothing(
    tenant: Backend, name: str, data: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    path = await new_collection(tenant)
    response = await upload(tenant, path, name, data, content_type)
    assert refusal(response) == expected, response.text
    assert "omni-usage" not in response.headers
    assert (await tenant.send("GET", path)).json()["stored_bytes"] == 0
