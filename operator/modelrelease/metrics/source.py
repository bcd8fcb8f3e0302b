"""Where a Prometheus is and how to log in to it: settings as data, credentials by file name.

Credentials are names inside one mounted folder and are read when they are used, so that a rotated Secret works without
a restart. Rejected: values or free paths in the settings; a path could point at any file of the operator's container.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}")


class CredentialError(Exception):
    """A credential file that cannot be used now; it may appear later (a Secret not mounted yet)."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One Prometheus. Files are plain names inside the credentials folder. Raises ValueError for what cannot work.

    `tick_s`: how often to ask. `scrape_interval_s`: how often Prometheus scrapes the series that gates read; it
    bounds how long one target may lag behind the others before a window closes without it. `timeout_s`: deadline of
    one query, its wait for a free thread included. `namespace_label`: forced into raw queries. `max_answer_bytes`:
    a larger answer counts as failed.
    """

    name: str
    address: str
    tick_s: float = 5.0
    scrape_interval_s: float = 15.0
    timeout_s: float = 4.0
    bearer_token_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    ca_file: str | None = None
    namespace_label: str = "namespace"
    max_answer_bytes: int = 64 * 1024 * 1024
    threads: int = 8

    def __post_init__(self) -> None:
        url = urlsplit(self.address)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{self.name}: address {self.address!r} must be http://host[:port] or https://…")
        if url.username is not None or url.query or url.fragment:
            raise ValueError(
                f"{self.name}: address must hold no user, password, query or fragment; use the file fields"
            )
        for seconds in ("tick_s", "scrape_interval_s", "timeout_s"):
            if not getattr(self, seconds) > 0:
                raise ValueError(f"{self.name}: {seconds} must be more than 0")
        if (self.client_cert_file is None) != (self.client_key_file is None):
            raise ValueError(f"{self.name}: client_cert_file and client_key_file belong together")
        for file in (self.bearer_token_file, self.client_cert_file, self.client_key_file, self.ca_file):
            if file is not None and _FILE_NAME.fullmatch(file) is None:
                raise ValueError(f"{self.name}: {file!r} must be a file name inside the credentials folder, not a path")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The fixed folder that credential files live in."""

    folder: Path

    def path(self, name: str) -> Path:
        """The file behind a name, its links followed. Raises CredentialError when absent or outside the folder."""
        if _FILE_NAME.fullmatch(name) is None:
            raise CredentialError(f"credential {name!r} is not a plain file name")
        file = (self.folder / name).resolve()
        if not file.is_relative_to(self.folder.resolve()):
            raise CredentialError(f"credential {name} leads out of the credentials folder")
        if not file.is_file():
            mend = "put it into the Secret modelrelease-credentials, or correct the name"
            raise CredentialError(f"spec.auth: credential {name} is not in the credentials folder: {mend}")
        return file

    def text(self, name: str) -> str:
        """The content of a small file without surrounding white space. Raises CredentialError."""
        try:
            content = self.path(name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialError(f"credential {name} cannot be read: {type(error).__name__}") from error
        if not content or not content.isprintable():
            raise CredentialError(f"credential {name} is empty or holds control characters")
        return content
