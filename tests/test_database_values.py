"""Values and statements that a database cannot take (B309)."""
from __future__ import absolute_import, division, print_function

import unittest

from friendserve import database


class SQLiteValuesTest(unittest.TestCase):
    def setUp(self):
        self.db = database.connect("sqlite://:memory:")
        self.addCleanup(self.db.close)
        self.db.execute("CREATE TABLE numbers (value INTEGER)")

    def check(self, expected, function, *arguments):
        """The error is one of `friendserve.database`, and the connection can still be used."""
        try:
            function(*arguments)
        except Exception as error:
            self.assertEqual(expected, type(error))
        else:
            self.fail("no error")
        self.assertEqual(0, self.db.get("SELECT COUNT(*) AS n FROM numbers").n)

    def test_b309_an_integer_of_more_than_64_bits(self):
        insert = "INSERT INTO numbers VALUES (%s)"
        for number in (1 << 63, -(1 << 63) - 1, 1 << 200):
            self.check(database.DataError, self.db.execute, insert, number)
            self.check(database.DataError, self.db.query,
                       "SELECT * FROM numbers WHERE value = %s", number)
            self.check(database.DataError, self.db.executemany, insert, [[number]])
        for number in ((1 << 63) - 1, -(1 << 63)):
            self.db.execute(insert, number)
        self.assertEqual([-(1 << 63), (1 << 63) - 1], [
            row.value for row in self.db.query("SELECT value FROM numbers ORDER BY value")])

    def test_b309_a_statement_that_cannot_be_sent(self):
        # Which of them the driver takes depends on the version of Python.
        for statement in (u"SELECT 1 AS a -- \0", u"SELECT '\ud800' AS a"):
            try:
                self.db.query(statement)
            except Exception as error:
                self.assertIsInstance(error, database.Error)
