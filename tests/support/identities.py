"""Keys and certificates for tests, made on the fly."""

from __future__ import annotations

import datetime
import os

from tm.edge.certificates import Subject, make_certificate, make_key, to_pem, write_new
from tm.edge.keys import fingerprint


class Identity:
    """A key and its certificate as files ``NAME.key`` and ``NAME.crt`` of *folder*."""

    def __init__(
        self, folder: str, file: str, name: str, now: datetime.datetime | None = None, days: int = 30
    ) -> None:
        self.name = name
        self.key = os.path.join(folder, file + ".key")
        self.certificate = os.path.join(folder, file + ".crt")
        self.private = make_key(self.key)
        moment = now or datetime.datetime.now(datetime.UTC)
        self.presented = make_certificate(self.private, Subject(name, f"{name}@example.org"), moment, days)
        write_new(self.certificate, to_pem(self.presented))
        self.fingerprint = fingerprint(self.presented)
