"""Django under gunicorn: one view and the middleware that sets Content-Length."""
from __future__ import absolute_import, division, print_function

import django.conf
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

import under_gunicorn


def hello(request, name="world"):
    return HttpResponse("Hello, %s!" % name)


urlpatterns = [path("", hello), path("hello/<name>", hello)]

django.conf.settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for measuring",
)
application = get_wsgi_application()

if __name__ == "__main__":
    under_gunicorn.serve("django_hello:application")
