"""starlette under gunicorn's ASGI worker, on uvloop."""
from __future__ import absolute_import, division, print_function

import under_gunicorn

if __name__ == "__main__":
    under_gunicorn.serve("starlette_app:application", under_gunicorn.ASGI)
