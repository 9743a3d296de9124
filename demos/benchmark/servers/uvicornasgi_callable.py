"""uvicorn with a bare ASGI callable."""
from __future__ import absolute_import, division, print_function

import uvicorn_hello

if __name__ == "__main__":
    uvicorn_hello.serve("asgi_app:asgi")
