"""JSON in the bodies of requests."""
from __future__ import absolute_import, division, print_function

import json

from friendserve.web.errors import HTTPError


def parse_json(request):
    """The body of a request as JSON (RFC 8259). Raises HTTPError, whose reason says what is wrong:
    415 if Content-Type names another format, 400 if the body is not JSON."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind and not kind.endswith(("/json", "+json")):
        raise HTTPError(415, reason="The body must be application/json, not %s"
                        % kind.encode("ascii", "replace").decode("ascii"))
    if not request.body:
        raise HTTPError(400, reason="The body is empty and should be JSON")
    try:
        return json.loads(request.body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except ValueError as error:
        problem = str(error).encode("ascii", "replace").decode("ascii")
    except (RuntimeError, MemoryError):     # RecursionError on Python 3
        problem = "it is nested too deeply"
    raise HTTPError(400, reason="The body is not JSON: " + problem)


def _refuse_constant(name):
    raise ValueError("%s is not JSON" % name)
