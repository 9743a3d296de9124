"""aiohttp with uvloop if it is installed; it sends files by sendfile."""
from __future__ import absolute_import, division, print_function

import sys

import aiohttp.web

try:
    import uvloop
except ImportError:
    uvloop = None

if __name__ == "__main__":
    application = aiohttp.web.Application()
    application.router.add_static("/", sys.argv[2])
    if uvloop is not None:
        uvloop.install()
    aiohttp.web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None,
                        print=None)
