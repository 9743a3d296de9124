"""Records what real releases of Tornado make and accept as signed cookies.

    python tests/corpus/cookies/make_signed.py ours.json                # with friendserve
    python2 tests/corpus/cookies/make_signed.py theirs.json ours.json   # with each release

The first prints the cookies that friendserve makes; the others, one for each release, print those
of that release and what it says to ours. `signed_by_tornado.json` joins their outputs.
"""
from __future__ import absolute_import, division, print_function

import base64
import json
import sys
import time

SECRET = "It is recorded, so it is no secret"
SECRETS = {0: SECRET, 1: "the second of two", 2: "the third"}
NOW = 1400000000
VALUES = [("user", b"alice"), ("empty", b""), ("binary", b"\x00\xff|:\n"),
          ("text", b"Gr\xc3\xbc\xc3\x9fe"), ("long", b"0123456789" * 20), ("n-1", b"1|2:3")]


def to_text(data):
    return base64.b64encode(data).decode("ascii")


def native(value):
    return value if isinstance(value, str) else value.decode("ascii")


def signer():
    """(version, sign(name, value, **options), check(name, cookie, **options))."""
    time.time = lambda: NOW
    if sys.argv[1] == "ours.json":
        import friendserve
        from friendserve.web import create_signed_value, decode_signed_value
        version = "friendserve " + friendserve.version
    else:
        import tornado
        import tornado.web
        version = "tornado " + tornado.version
        if not hasattr(tornado.web, "create_signed_value"):
            return (version,) + old_handler(tornado.web)
        create_signed_value = tornado.web.create_signed_value
        decode_signed_value = tornado.web.decode_signed_value

    def sign(name, value, **options):
        secret = options.pop("secret", SECRET)
        return native(create_signed_value(secret, name, value, **options))

    def check(name, cookie, secret=SECRET):
        return decode_signed_value(secret, name, cookie)

    return version, sign, check


def old_handler(web):
    """The same for 1.x, where handlers alone can do it."""
    class Handler(web.RequestHandler):
        def __init__(self):
            self.application = type("Application", (), {"settings": {"cookie_secret": SECRET}})()

        def set_cookie(self, name, value, **kwargs):
            self.made = value

    def sign(name, value):
        handler = Handler()
        handler.set_secure_cookie(name, value)
        return handler.made

    def check(name, cookie, secret=SECRET):
        return Handler().get_secure_cookie(name, value=cookie)

    return sign, check


def main():
    version, sign, check = signer()
    made = []
    for name, value in VALUES:
        options = [{}]
        if not version.startswith(("tornado 1.", "tornado 2.")):
            options = [{"version": 1}, {"version": 2},
                       {"version": 2, "secret": SECRETS, "key_version": 2}]
        for option in options:
            made.append({"name": name, "value": to_text(value),
                         "cookie": sign(name, value, **option), "version": option.get("version", 1),
                         "key_version": option.get("key_version")})
    result = {"release": version, "made": made}
    if len(sys.argv) > 2:
        with open(sys.argv[2]) as source:
            ours = json.load(source)["made"]
        old = version.startswith(("tornado 1.", "tornado 2."))
        accepted = []
        for cookie in ours:
            if old and cookie["version"] == 2:
                continue
            value = check(cookie["name"], native(cookie["cookie"].encode("ascii")),
                          secret=SECRET if cookie["key_version"] is None else SECRETS)
            accepted.append({"cookie": cookie["cookie"],
                             "value": None if value is None else to_text(value)})
        result["accepted"] = accepted
    print(json.dumps(result, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
