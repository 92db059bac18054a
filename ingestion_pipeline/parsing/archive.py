"""Documents that are ZIP containers, and the XML in them; neither is trusted.

Belongs here: limits on what is unpacked, and XML without entities and network. Does not belong
here: what the members mean.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import unquote

from ingestion_pipeline.errors import ErrorKind, PermanentError

if TYPE_CHECKING:
    from types import TracebackType

    from lxml.etree import _Element

_MOST_BYTES = 1024**3
_MOST_GROWTH = 200
"""Times the container's size; the XML of repetitive sheets has 60, a bomb a thousand and more."""
_NO_BOMB = 16 * 1024**2
"""Bytes that may be unpacked from however little."""

_MAIN = "officeDocument"
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


class Archive:
    """A container; closed at the end of its ``with`` block.

    Raises:
        PermanentError: ``too_large`` for one that unpacks to more than any document needs.
    """

    def __init__(self, data: bytes) -> None:
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._names = frozenset(self._zip.namelist())
        # No member gives more than it declares: the zipfile module stops reading there.
        unpacked = sum(member.file_size for member in self._zip.infolist())
        if unpacked > most_unpacked(len(data)):
            raise PermanentError(
                ErrorKind.TOO_LARGE,
                f"the file unpacks from {len(data):,} to {unpacked:,} bytes, as no document does; "
                "split it or save it in another format",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def read(self, name: str) -> bytes:
        """Return a member, nothing where there is none."""
        return self._zip.read(name) if name in self._names else b""

    def open(self, name: str) -> IO[bytes]:
        """Return a member to read from piece by piece."""
        return self._zip.open(name)

    def xml(self, name: str) -> _Element | None:
        """Return the root of a member, None where there is no such member."""
        return xml_root(self.read(name)) if name in self._names else None

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Return where an Office part's relations point, by their id.

        Returns:
            The last word of the relation's type ("slide", "image" …) and the member it names.
        """
        folder, file = posixpath.split(part)
        root = self.xml(posixpath.join(folder, "_rels", f"{file}.rels"))
        relations = root.iterchildren(_RELATION) if root is not None else ()
        return {
            relation.get("Id", ""): (
                relation.get("Type", "").rpartition("/")[2],
                resolve(folder, relation.get("Target", "")),
            )
            for relation in relations
            if relation.get("TargetMode") != "External"
        }

    def main_part(self, otherwise: str) -> str:
        """Return the part of an Office document that the others belong to."""
        targets = (target for kind, target in self.relations("").values() if kind == _MAIN)
        return next(targets, otherwise)


def most_unpacked(packed: int) -> int:
    """Return how many bytes may come out of ``packed`` bytes; more is a bomb."""
    return min(_MOST_BYTES, max(_NO_BOMB, _MOST_GROWTH * packed))


def resolve(folder: str, target: str) -> str:
    """Return the member that a reference from within ``folder`` means."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")


def xml_root(data: bytes, *, own_entities: bool = False) -> _Element:
    """Return the root of an XML document; it nests at most 256 deep.

    No entity is expanded but ``own_entities``, those that the document itself defines, of which
    libxml2 refuses bombs. Nothing is fetched, comments and instructions are left out.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities="internal" if own_entities else False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    return etree.fromstring(data, parser)
