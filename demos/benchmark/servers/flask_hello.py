"""Flask under gunicorn."""
from __future__ import absolute_import, division, print_function

import flask

import under_gunicorn

application = flask.Flask(__name__)


@application.route("/")
def hello():
    return "Hello, world!"


if __name__ == "__main__":
    under_gunicorn.serve("flask_hello:application")
