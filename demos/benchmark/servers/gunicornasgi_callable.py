"""gunicorn's ASGI worker with a bare callable, on uvloop."""
from __future__ import absolute_import, division, print_function

import under_gunicorn

if __name__ == "__main__":
    under_gunicorn.serve("asgi_app:asgi", under_gunicorn.ASGI)
