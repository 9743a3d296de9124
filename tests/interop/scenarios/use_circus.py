"""The daemon starts programs, restarts one that ends, answers commands, and stops all of them."""
from __future__ import absolute_import, division, print_function

import os
import signal
import sys
import threading
import time

from circus import get_arbiter
from circus.client import CircusClient
from scenario import equal, find_port

endpoint, pubsub = ("tcp://127.0.0.1:%d" % find_port() for _ in range(2))
arbiter = get_arbiter([{
    "name": "sleeper", "cmd": sys.executable, "args": ["-c", "import time; time.sleep(60)"],
    "numprocesses": 2}], controller=endpoint, pubsub_endpoint=pubsub, check_delay=0.2)
failures = []


def command():
    client = CircusClient(endpoint=endpoint, timeout=10)
    try:
        def pids():
            return client.send_message("list", name="sleeper").get("pids", [])

        def wait_for(condition):
            deadline = time.time() + 10
            while not condition():
                assert time.time() < deadline, "circus does not do it"
                time.sleep(0.1)

        wait_for(lambda: len(pids()) == 2)
        first = pids()
        os.kill(first[0], signal.SIGKILL)
        wait_for(lambda: len(pids()) == 2 and first[0] not in pids())
        equal("ok", client.send_message("incr", name="sleeper")["status"])
        wait_for(lambda: len(pids()) == 3)
    except Exception as error:
        failures.append(error)
    finally:
        # While it looks after its programs it refuses.
        while client.send_message("quit", waiting=False)["status"] != "ok":
            time.sleep(0.05)


thread = threading.Thread(target=command)
thread.daemon = True
thread.start()
arbiter.start()
thread.join(10)
equal([], failures)
