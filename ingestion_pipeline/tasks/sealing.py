"""What people answer, encrypted from the moment it arrives until it is used.

The key is outside registry and Redis, so that neither of them, nor a copy of them, gives an answer
away: it is the setting ``INGEST_SECRET_KEY``, which machines without a common state folder need,
else a file in the state folder.

Belongs here: the key, sealing and opening. Does not belong here: where sealed answers are kept
(``registry``) and when they are erased.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import Settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "secret.key"

_SALT = b"ingestion_pipeline: the key of answers"
"""Not random: machines that have nothing but the passphrase in common must get the same key."""
_SCRYPT_COST = 2**14
"""16 MiB and about 50 ms."""


class Sealer:
    """Seals and opens text with the key of this installation; the key is read when first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def seal(self, text: str) -> str:
        """Return ``text`` encrypted and authenticated (Fernet), in ASCII."""
        return self._fernet.encrypt(text.encode(errors="surrogatepass")).decode("ascii")

    def open(self, sealed: str) -> str:
        """Return what was sealed.

        Raises:
            PermanentError: ``invalid_option`` if it was sealed with another key, or damaged.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed).decode(errors="surrogatepass")
        except (InvalidToken, ValueError) as error:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                "the answer cannot be opened because the secret key changed: answer again",
            ) from error

    @cached_property
    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet

        secret = self._settings.secret_key
        if secret is not None:
            return _of_passphrase(secret.get_secret_value())
        path = self._settings.state / KEY_FILE
        if not path.exists():
            _create(path, Fernet.generate_key())
        return _of_file(path)


def _of_passphrase(passphrase: str) -> Fernet:
    """Use a Fernet key as it is, and derive one from any other text."""
    from cryptography.fernet import Fernet

    try:
        return Fernet(passphrase)
    except ValueError:
        derived = hashlib.scrypt(
            passphrase.encode(errors="surrogatepass"),
            salt=_SALT,
            n=_SCRYPT_COST,
            r=8,
            p=1,
            dklen=32,
        )
        return Fernet(base64.urlsafe_b64encode(derived))


def _create(path: Path, key: bytes) -> None:
    """Write a key file, unless another process was faster; nobody ever sees half of one.

    The file is our user's alone from its first moment, whatever the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()


def _of_file(path: Path) -> Fernet:
    """Read a key file; one that others can read keeps no secret, and may have kept none before."""
    from cryptography.fernet import Fernet

    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read()
    except OSError as error:
        raise _unusable(
            path, f"cannot be read ({error.strerror}): give this user access"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unusable(
            path, f"is open to other users (mode {mode:04o}): remove it, and answer again"
        )
    try:
        return Fernet(key.strip())
    except ValueError as error:
        raise _unusable(path, "holds no key: remove it, and answer again") from error


def _unusable(path: Path, what: str) -> PermanentError:
    return PermanentError(ErrorKind.INVALID_OPTION, f"the key file {path} {what}")
