"""PDF files, read in a process of their own."""

from __future__ import annotations

import dataclasses

import pytest

from omni.inference.pdf.reader import PdfReader, is_pdf
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.errors import DeadlineExceeded, OmniError, TooLarge
from tests.inference.files import pdf_bomb, pdf_file, text_image
from tests.inference.runtime.test_pool import a_call


@pytest.fixture
def reader(inference_settings: InferenceSettings, engine_pool: EnginePool) -> PdfReader:
    return PdfReader(inference_settings, engine_pool)


async def refused(reader: PdfReader, data: bytes) -> tuple[int, str]:
    with pytest.raises(OmniError) as error:
        await reader.text(a_call(), data)
    return error.value.status, error.value.code


async def test_text_comes_page_by_page_and_its_time_is_metered(reader: PdfReader) -> None:
    call = a_call()
    found = await reader.text(call, pdf_file([["First line", "second line"], [], ["Third page"]]))
    assert [page.split("\n") for page in found.pages] == [["First line", "second line"], [""], ["Third page"]]
    assert found.scanned == []  # an empty page shows nothing
    assert call.usage.quantities()["compute_ms"] >= 1


async def test_scanned_pages_are_known_and_rendered_alone(
    inference_settings: InferenceSettings, engine_pool: EnginePool
) -> None:
    reader = PdfReader(dataclasses.replace(inference_settings, ocr_pages=2), engine_pool)
    scan = text_image(["On paper only"])
    data = pdf_file([["Typed"], scan, [], scan, ["Typed again"]])
    assert (await reader.text(a_call(), data)).scanned == [1, 3]
    images = await reader.render(a_call(), data, [1, 3])
    assert [image[:4] for image in images] == [b"\x89PNG"] * 2
    with pytest.raises(TooLarge) as error:
        await reader.render(a_call(), data, [1, 3, 4])
    assert (error.value.code, error.value.fields["max_pages"]) == ("too_many_scanned_pages", 2)


async def test_broken_files_are_refused(reader: PdfReader) -> None:
    whole = pdf_file([["text"]])
    for data in (b"", b"%PDF-1.7", b"%PDF-1.7\n" + bytes(500), whole[:200]):
        assert await refused(reader, data) == (400, "broken_document")


async def test_protected_files_are_refused(reader: PdfReader) -> None:
    assert await refused(reader, pdf_file([["secret"]], password="key")) == (400, "document_encrypted")


async def test_too_many_pages_are_refused(inference_settings: InferenceSettings, engine_pool: EnginePool) -> None:
    reader = PdfReader(dataclasses.replace(inference_settings, pdf_pages=2), engine_pool)
    assert await refused(reader, pdf_file([["page"]] * 3)) == (413, "too_many_pages")


async def test_too_much_text_is_refused(inference_settings: InferenceSettings, engine_pool: EnginePool) -> None:
    reader = PdfReader(dataclasses.replace(inference_settings, document_text_bytes=100), engine_pool)
    assert await refused(reader, pdf_file([["long line of words " * 3] * 3])) == (413, "document_text_too_large")


async def test_a_bomb_takes_only_its_own_process(reader: PdfReader) -> None:
    bomb = pdf_bomb(600)
    assert len(bomb) < 3_000_000
    assert await refused(reader, bomb) == (413, "document_too_complex")


async def test_the_deadline_ends_the_process(reader: PdfReader) -> None:
    with pytest.raises(DeadlineExceeded):
        await reader.text(a_call(0.05), pdf_bomb(600))


def test_a_pdf_is_known_by_its_header() -> None:
    assert is_pdf(b"\xef\xbb\xbf%PDF-1.4")
    assert not is_pdf(bytes(1_024) + b"%PDF-1.4")
