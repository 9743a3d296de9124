"""friendserve: the same echo in pure Python, even if `websockets` is installed."""
from __future__ import absolute_import, division, print_function

import sys

# Makes its import fail.
sys.modules["websockets.speedups"] = None

import friendserve.ioloop  # noqa: E402
import friendserve.web  # noqa: E402
import friendserve_websocket  # noqa: E402

if __name__ == "__main__":
    application = friendserve.web.Application([(r"/", friendserve_websocket.EchoHandler)])
    application.listen(int(sys.argv[1]), address="127.0.0.1")
    friendserve.ioloop.IOLoop.instance().start()
