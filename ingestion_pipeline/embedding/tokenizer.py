"""The embedding model's tokenizer alone, without torch.

Belongs here: counting and placing tokens just as the model will see them, never truncated.
Does not belong here: cutting texts (``chunking``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SURROGATE = re.compile("[\ud800-\udfff]")
_PIECE = re.compile(r"(?s).{1,2000}[^ \t\n\r]{0,2000}")
"""A long text goes to the tokenizer in pieces that end at a blank: all cores share them.

Only what every tokenizer takes for a blank counts: some drop control characters and so join what
stands around them."""
_PIECES_AT_ONCE = 256
"""Bounds memory: the library's result is some 50 times larger than its text."""


class Tokenizer:
    """Counts and places tokens; may be shared by threads.

    A special token spelled out in a text ("[SEP]") is one token, as it is to the model.
    """

    def __init__(self, folder: Path) -> None:
        """Load ``tokenizer.json`` from a model's folder.

        Raises:
            PermanentError: of kind ``unsupported`` if the folder has no such file.
        """
        from tokenizers import Tokenizer as Backend

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise PermanentError(
                ErrorKind.UNSUPPORTED,
                f"the embedding model in {str(folder)!r} has no tokenizer.json; "
                "configure a model that has one",
            )
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
        self._backend = Backend.from_file(str(path))
        self.pad_id: int = (self._backend.padding or {}).get("pad_id", 0)
        self._backend.no_truncation()
        self._backend.no_padding()

    @property
    def special_tokens_per_text(self) -> int:
        """How many tokens the model adds to every text."""
        return self._backend.num_special_tokens_to_add(is_pair=False)

    def count(self, text: str) -> int:
        """Count the tokens of one text, special tokens included."""
        return self.counts([text])[0]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special tokens included."""
        counts: list[int] = []
        for first in range(0, len(texts), _PIECES_AT_ONCE):
            batch = [without_surrogates(text) for text in texts[first : first + _PIECES_AT_ONCE]]
            counts += map(len, self._backend.encode_batch_fast(batch))
        return counts

    def ids(self, texts: Sequence[str], most: int) -> list[NDArray[np.int64]]:
        """Return what the model reads of each text: its tokens, special ones included.

        Of longer texts that is the beginning, so that there are ``most``.
        """
        import numpy as np

        room = most - self.special_tokens_per_text
        ids = []
        for first in range(0, len(texts), _PIECES_AT_ONCE):
            batch = [without_surrogates(text) for text in texts[first : first + _PIECES_AT_ONCE]]
            for encoding in self._backend.encode_batch_fast(batch, add_special_tokens=False):
                encoding.truncate(room)
                ids.append(np.array(self._backend.post_process(encoding).ids, dtype=np.int64))
        return ids

    def token_starts(self, text: str) -> Iterator[int]:
        """Yield the offset of the first character of each token, special tokens left out.

        Ascending; several tokens may share a character. Of a text in pieces the tokens are those
        of the whole text, except in a word of over 2,000 characters.
        """
        pieces = _PIECE.finditer(without_surrogates(text))
        while batch := [(piece.start(), piece[0]) for piece in islice(pieces, _PIECES_AT_ONCE)]:
            encodings = self._backend.encode_batch(
                [piece for _, piece in batch], add_special_tokens=False
            )
            for (offset, _), encoding in zip(batch, encodings, strict=True):
                for start, _ in encoding.offsets:
                    yield offset + start


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which tokenizers refuse, one character for one."""
    return _SURROGATE.sub("\ufffd", text)
