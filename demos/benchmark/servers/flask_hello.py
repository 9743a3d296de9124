"""Flask under gunicorn."""
from __future__ import absolute_import, division, print_function

import flask

import under_gunicorn

application = flask.Flask(__name__)


@application.route("/")
@application.route("/hello/<name>")
def hello(name="world"):
    return "Hello, %s!" % name


if __name__ == "__main__":
    under_gunicorn.serve("flask_hello:application")
