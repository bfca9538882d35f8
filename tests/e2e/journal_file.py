"""Reads the journal of a campaign, apart from the program: what it says, and which rows."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

REJECTS = ["invalid", "malformed", "duplicate", "suppressed", "refused"]


class JournalFile:
    """
    What is committed in DIR/NAME.campaign at this moment, read from a copy, so that what a dead
    process left is as it was. `campaign` is a dictionary; `confirmed` a set of rows; `rejects`
    {row: (why, reason)}.
    """

    def __init__(self, path):
        with tempfile.TemporaryDirectory() as copy:
            for ending in ("", "-wal"):
                if Path(f"{path}{ending}").exists():
                    shutil.copy(f"{path}{ending}", f"{copy}/journal{ending}")
            with closing(sqlite3.connect(f"{copy}/journal")) as db:
                self._read(db)

    def _read(self, db):
        cursor = db.execute("SELECT * FROM campaign")
        names = [column[0] for column in cursor.description]
        [row] = cursor.fetchall()
        self.campaign = dict(zip(names, row))
        self.finished = self.campaign["finished"] != 0
        self.confirmed = {
            chunk * 4096 + at + 1
            for chunk, bits in db.execute("SELECT chunk, bits FROM confirmed")
            for at in range(4096) if bits[at // 8] >> at % 8 & 1}
        self.rejects = {row: (REJECTS[why], reason) for row, why, reason in
                        db.execute("SELECT list_row, reject, reason FROM rejects")}
