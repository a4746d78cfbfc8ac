"""``TaskDispatcher.info`` is changed in place: its values, and nothing else."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tm import places
from tm.config.info_file import InfoFile
from tm.errors import ConfigError

TEXT = "# where it is\r\ncluster = physics\r\n  host=here # for now\r\nport   =  10101\r\n\r\n# host = not this\r\n"


class InfoFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.etc = self.mktemp()
        os.makedirs(self.etc)
        self.path = os.path.join(self.etc, "TaskDispatcher.info")
        self.write(TEXT)
        self.file = InfoFile(self.etc)

    def write(self, text: str) -> None:
        with open(self.path, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def read(self) -> str:
        with open(self.path, encoding="utf-8", newline="") as file:
            return file.read()

    def test_values_change_and_everything_else_stays(self) -> None:
        take_back = self.file.edit({"host": "there.example", "port": 10102, "cluster": "physics"})
        self.assertEqual(self.read(), TEXT.replace("here #", "there.example #").replace("10101", "10102"))
        self.assertEqual(self.file.table(), {"cluster": "physics", "host": "there.example", "port": 10102})
        self.assertEqual(places.read_info(self.path)["port"], "10102")
        take_back()
        self.assertEqual(self.read(), TEXT)

    def test_what_cannot_be_is_refused_by_its_property_and_nothing_changes(self) -> None:
        for wanted, part in (
            ({"port": 0}, "dispatcher.port"), ({"port": "x"}, "dispatcher.port"), ({"port": True}, "dispatcher.port"),
            ({"host": ""}, "dispatcher.host"), ({"host": "a b"}, "dispatcher.host"),
            ({"host": "-o"}, "dispatcher.host"),
            ({"host": "a#b"}, "dispatcher.host"), ({"host": "a\nport = 1"}, "dispatcher.host"),
            ({"user_directory": "/x"}, "cannot be changed safely"),
        ):  # fmt: skip
            error = self.assertRaises(ConfigError, self.file.edit, wanted)
            self.assertIn(part, error.text)
            self.assertEqual(self.read(), TEXT)

    def test_what_somebody_has_edited_meanwhile_is_not_taken_back(self) -> None:
        take_back = self.file.edit({"port": 10102})
        self.write(self.read() + "# mine\n")
        self.assertIn("somebody else", self.assertRaises(ConfigError, take_back).text)
        self.assertIn("# mine", self.read())

    def test_a_faulty_or_missing_file_is_a_sentence(self) -> None:
        self.write("cluster = physics\nport = x\n")
        self.assertIn("no line 'host", self.assertRaises(ConfigError, self.file.edit, {"port": 1}).text)
        os.unlink(self.path)
        self.assertIn("No such file", self.assertRaises(ConfigError, self.file.table).text)
