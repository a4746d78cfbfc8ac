"""What this machine starts by itself after its boot: units of the account's user manager, and its crontab.

Everything goes through the programs that people use for it. Standard library only.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from tm.edge import survival
from tm.errors import TaskManagerError
from tm.model import revival
from tm.model.revival import Found, Service

PATIENCE_SECONDS = 20.0
_CRONS = ("cron", "crond", "fcron", "bcron", "busybox")


class Said:
    """How a program ended and what it said."""

    def __init__(self, command: list[str], environ: Mapping[str, str], given: bytes = b"") -> None:
        try:
            done = subprocess.run(
                command, env=dict(environ), input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False
            )
        except FileNotFoundError:
            self.status, self.output, self.errors = 127, b"", f"there is no {command[0]}"
        except (OSError, subprocess.TimeoutExpired) as error:
            self.status, self.output, self.errors = 126, b"", f"{command[0]}: {error}"
        else:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            self.status, self.output, self.errors = done.returncode, done.stdout, lines[-1] if lines else ""

    def checked(self, what: str) -> None:
        """Raise `TaskManagerError` ``config.service`` with *what* was tried, unless it went well."""
        if self.status != 0:
            raise TaskManagerError("config.service", f"{what}: {self.errors or f'exit status {self.status}'}")


class Machine:
    """This machine, for the calling account; *root* is where ``var`` is."""

    def __init__(self, environ: Mapping[str, str] = os.environ, root: str = "/") -> None:
        self._environ = survival.with_manager(environ)
        self._linger = os.path.join(root, "var/lib/systemd/linger", survival.account())
        config = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or "~", ".config")
        self._units = os.path.join(os.path.expanduser(config), revival.UNIT_FOLDER)

    # -- what is there ------------------------------------------------------------------------------------------------

    def find(self) -> Found:
        """Return what this machine permits; nothing is changed."""
        answers = self._systemctl("show-environment").status == 0
        text, refused = self._crontab()
        return Found(answers, self.lingering, text is not None, refused)

    @property
    def lingering(self) -> bool:
        """Whether the account's user manager outlives its logins and starts at boot."""
        return os.path.exists(self._linger)

    def linger(self) -> bool:
        """Make it so if we may; return whether it is."""
        if self.lingering:
            return True
        return Said(["loginctl", "--no-ask-password", "enable-linger", survival.account()], self._environ).status == 0

    # -- units --------------------------------------------------------------------------------------------------------

    def unit_path(self, service: Service) -> str:
        """Return where the unit of *service* is, or would be."""
        return os.path.join(self._units, service.unit)

    def unit(self, service: Service) -> str:
        """Return the text of its unit, empty if there is none."""
        try:
            with open(self.unit_path(service), encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def install_unit(self, service: Service, start: bool) -> None:
        """Write its unit and enable it; *start* it now, too. Raises `TaskManagerError`."""
        path = self.unit_path(service)
        try:
            os.makedirs(self._units, exist_ok=True)
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(revival.unit_text(service))
            os.rename(path + ".new", path)
        except OSError as error:
            raise TaskManagerError("config.write", f"{path}: {error.strerror}") from None
        self._systemctl("daemon-reload").checked("systemctl --user daemon-reload")
        self._systemctl("enable", service.unit).checked(f"systemctl --user enable {service.unit}")
        if start:
            self._systemctl("start", service.unit).checked(f"systemctl --user start {service.unit}")

    def remove_unit(self, service: Service) -> bool:
        """Remove its unit; what it started goes on. Return whether there was one."""
        if not self.unit(service):
            return False
        self._systemctl("disable", service.unit)
        os.unlink(self.unit_path(service))
        self._systemctl("daemon-reload")
        return True

    def _systemctl(self, *arguments: str) -> Said:
        return Said(["systemctl", "--user", *arguments], self._environ)

    # -- the crontab --------------------------------------------------------------------------------------------------

    def cron_line(self, service: Service) -> str:
        """Return its line of the crontab, empty if there is none."""
        text, _ = self._crontab()
        return revival.line_of(text or "", service.name)

    def install_line(self, service: Service) -> None:
        """Have its line in the crontab. Raises `TaskManagerError`."""
        text, refused = self._crontab()
        if text is None:
            raise TaskManagerError("config.service", f"crontab: {refused}")
        self._write(text, revival.with_line(text, service))

    def remove_line(self, service: Service) -> bool:
        """Take its line out of the crontab; return whether there was one. Raises `TaskManagerError`."""
        text, _ = self._crontab()
        if text is None or not revival.line_of(text, service.name):
            return False
        self._write(text, revival.without_line(text, service.name))
        return True

    def _crontab(self) -> tuple[str | None, str]:
        """Return the crontab, or None and why there can be none."""
        said = Said(["crontab", "-l"], {**self._environ, "LC_ALL": "C"})
        if said.status == 0:
            return said.output.decode(errors="surrogateescape"), ""
        if said.status == 1 and said.errors.startswith("no crontab for"):
            return "", ""
        return None, said.errors or f"exit status {said.status}"

    def _write(self, before: str, after: str) -> None:
        if after == before:
            return
        given = after.encode(errors="surrogateescape")
        Said(["crontab", "-"], self._environ, given).checked("crontab -")

    @staticmethod
    def cron_runs() -> bool:
        """Whether a cron is seen running here."""
        for name in os.listdir("/proc"):
            try:
                with open(f"/proc/{name}/comm", encoding="ascii", errors="replace") as file:
                    if name.isdigit() and file.read().strip() in _CRONS:
                        return True
            except OSError:
                continue
        return False
