"""Installs friendserve: `python -m pip install .`"""
from __future__ import absolute_import, division, print_function

import io
import os
import re

from setuptools import find_packages, setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*path):
    """The text of a file of this project, named from its root."""
    with io.open(os.path.join(HERE, *path), encoding="utf-8") as source:
        return source.read()


def read_version():
    """The version, taken from the source: to import it could need what is not yet installed."""
    match = re.search(r'^version = "([0-9][0-9a-z.]*)"$', read("friendserve", "__init__.py"), re.M)
    if match is None:
        raise ValueError('friendserve/__init__.py must hold a line such as: version = "1.2.3"')
    return match.group(1)


# Tests need more than a bare Python: property tests and the browser need Python 3.
TEST_REQUIRES = [
    "pytest",
    'futures; python_version < "3"',
    'hypothesis; python_version >= "3.6"',
    'prometheus_client',
    'selenium; python_version >= "3.9" and platform_python_implementation == "CPython"',
    "Markdown>=3.1",
    "hiredis",
    "inotify_simple",
    # These cannot be built for PyPy.
    'pycurl; platform_python_implementation == "CPython"',
    'pycares<3; python_version < "3"',
    'pycares; python_version >= "3" and platform_python_implementation == "CPython"',
    'psycopg2-binary; platform_python_implementation == "CPython"',
    'PyMySQL<1; python_version < "3"',
    'PyMySQL; python_version >= "3"',
    # With their tests: Twisted's own need PyHamcrest.
    "Twisted>=20.3",
    "PyHamcrest",
    'websockets; python_version >= "3.6"',
    # Loops and clients beside ours.
    'aiohttp; python_version >= "3.9"',
    'gevent; python_version >= "3.9" and platform_python_implementation == "CPython"',
    'uvloop; python_version >= "3.8" and platform_python_implementation == "CPython" '
    'and sys_platform != "win32"',
    'Flask<2; python_version < "3"',
    'Flask; python_version >= "3"',
    'Django<2; python_version < "3"',
    'Django; python_version >= "3"',
    'gunicorn; python_version >= "3"',
    'fissix; python_version >= "3.8"',
    # One checker of the stubs; the other is npm's pyright.
    'mypy; python_version == "3.11"',
    # Signatures of tokens, and judges of sign-in: other implementations of its protocols.
    'cryptography<3.4; python_version < "3"',
    'cryptography; python_version >= "3" and platform_python_implementation == "CPython"',
    # The last with wheels for PyPy 3.9, and what works with it.
    'cryptography<44; python_version >= "3" and python_version < "3.11" '
    'and platform_python_implementation == "PyPy"',
    'cryptography; platform_python_implementation == "PyPy" and python_version >= "3.11"',
    'oauthlib<3.2; python_version < "3"',
    'oauthlib; python_version >= "3"',
    'python-openid; python_version < "3"',
    'python3-openid; python_version >= "3"',
    'PyJWT; python_version >= "3"',
    'jwcrypto; python_version >= "3" and platform_python_implementation == "CPython"',
    'joserfc; python_version >= "3.9" and platform_python_implementation == "CPython"',
    # The documentation is built on one Python.
    'Sphinx>=9.0,<9.1; python_version == "3.11"',
    'weasyprint>=70; python_version == "3.11"',
    'pypdf; python_version == "3.11"',
]

PYTHONS = ("2.7", "3", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")

setup(
    name="friendserve",
    version=read_version(),
    description="A callback-style reactor framework: one loop, streams, an HTTP server and a web "
                "framework in pure Python",
    long_description=read("README.rst"),
    long_description_content_type="text/x-rst",
    author="The friendserve authors",
    license="Apache-2.0",
    packages=find_packages(include=["friendserve", "friendserve.*"]),
    include_package_data=True,
    entry_points={"pytest11": ["friendserve = friendserve.testing.plugin"],
                  "console_scripts": ["friendserve = friendserve.serve.command:main"]},
    zip_safe=False,
    python_requires=">=2.7, !=3.0.*, !=3.1.*, !=3.2.*, !=3.3.*, !=3.4.*, !=3.5.*",
    install_requires=["six"],
    extras_require={
        "autoreload": ["inotify_simple"],
        "cares": ['pycares<3; python_version < "3"', 'pycares; python_version >= "3"'],
        "curl": ["pycurl"],
        # What demos/blog needs.
        "demos": ["Markdown>=3.1"],
        # The documentation: python website/docs/build.py. epubcheck needs Java.
        "docs": ['Sphinx>=9.0,<9.1; python_version >= "3.11"',
                 'weasyprint>=70; python_version >= "3.11"',
                 'epubcheck; python_version >= "3.11"'],
        "mysql": ["PyMySQL"],
        # Sign-in by OpenID Connect.
        "oidc": ["cryptography"],
        # What python -m friendserve.porting rewrite --python3 needs.
        "py3": ['fissix; python_version >= "3.8"'],
        "postgresql": ["psycopg2-binary"],
        "redis": ["hiredis"],
        # Masks of WebSocket frames in C.
        "speedups": ['websockets; python_version >= "3.6"'],
        "test": TEST_REQUIRES,
        "twisted": ["Twisted>=20.3"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Web Environment",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Operating System :: MacOS",
        "Operating System :: Microsoft :: Windows",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet :: WWW/HTTP :: HTTP Servers",
        "Topic :: Internet :: WWW/HTTP :: WSGI",
        "Topic :: Software Development :: Libraries :: Application Frameworks",
    ] + ["Programming Language :: Python :: " + number for number in PYTHONS],
)
