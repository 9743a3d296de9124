"""A pool of connections to a real PostgreSQL: queries, an error, two at a time."""
from __future__ import absolute_import, division, print_function

import os

import momoko
from scenario import equal, run

pools = []
run(lambda done: pools.append(momoko.Pool(os.environ["POSTGRES_DSN"], size=2, callback=done)))
pool = pools[0]


def query(*args):
    cursor, error = run(lambda done: pool.execute(*args, callback=lambda *result: done(*result)))
    if error is not None:
        raise error
    return cursor


equal([(3,)], query("SELECT %s + %s", (1, 2)).fetchall())
try:
    query("SELECT nothing")
except Exception as error:
    assert "nothing" in str(error)
else:
    raise AssertionError("an error is expected")

results = []


def two(done):
    def on_result(cursor, error):
        results.append(cursor.fetchone()[0])
        if len(results) == 2:
            done()
    pool.execute("SELECT 'slow' FROM pg_sleep(0.3)", callback=on_result)
    pool.execute("SELECT 'quick'", callback=on_result)


run(two)
equal(["quick", "slow"], results)
