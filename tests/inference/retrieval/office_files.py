"""Word files for tests: made by python-docx, and hostile ones made by hand."""

from __future__ import annotations

import io
import struct
import zipfile

from docx import Document

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def word_file() -> bytes:
    """Headings, paragraphs, a list and a table."""
    document = Document()
    document.add_heading("Garden rules", 0)
    document.add_paragraph("Dogs must be kept on a lead.")
    document.add_heading("Fees", 2)
    paragraph = document.add_paragraph("A ticket costs ")
    paragraph.add_run("forty").bold = True
    paragraph.add_run("\teuros.")
    for item in ("spades", "rakes"):
        document.add_paragraph(item, style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for row, cells in enumerate((("Name", "Age"), ("Ana", "7"))):
        for column, cell in enumerate(cells):
            table.cell(row, column).text = cell
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def packed(parts: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def word(body: str, prolog: str = "", **parts: bytes | str) -> bytes:
    """A Word file with the given XML in its body."""
    main = f'{prolog}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return packed({"_rels/.rels": RELATIONS, "word/document.xml": main, **parts})


def text_bomb(megabytes: int) -> bytes:
    """A small file that holds megabytes of text."""
    return word(f"<w:p><w:r><w:t>{'many words ' * 1000}</w:t></w:r></w:p>" * (megabytes * 100))


def laughing_word_file() -> bytes:
    """Entities that expand to gigabytes (billion laughs)."""
    entities = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 50}">' for before, name in zip("abcde", "bcdef", strict=True)
    )
    return word("<w:p><w:r><w:t>&f;</w:t></w:r></w:p>", f"<!DOCTYPE x [{entities}]>")


def reading_word_file() -> bytes:
    """An external entity that reads a file of the server."""
    return word("<w:p><w:r><w:t>&f;</w:t></w:r></w:p>", '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>')


def long_directory() -> bytes:
    """An archive whose list of files is over a MiB."""
    return packed({f"{'x' * 200}{n}": b"" for n in range(6_000)}, zipfile.ZIP_STORED)


def lying_sizes() -> bytes:
    """A part of a megabyte of which the archive says that it has ten bytes."""
    text = f"<w:p><w:r><w:t>{'x' * 1_000_000}</w:t></w:r></w:p>"
    size = len(f'<w:document xmlns:w="{WORD}"><w:body>{text}</w:body></w:document>')
    return word(text).replace(struct.pack("<I", size), struct.pack("<I", 10))
