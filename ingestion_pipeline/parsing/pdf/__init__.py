"""PDF: text in reading order, headings, tables, pictures; scans by text recognition.

Belongs here: one module for each step from PDFium's text boxes to elements. Does not belong here:
text recognition itself (``parsing.ocr``).
"""

from __future__ import annotations

from ingestion_pipeline.parsing.pdf.document import parse_pdf

__all__ = ["parse_pdf"]
