"""A provider of OAuth 1.0a: the server half of oauthlib, which is strict, as an application."""
from __future__ import absolute_import, division, print_function

from oauthlib.common import generate_token
from oauthlib.oauth1 import RequestValidator, WebApplicationServer

from friendserve.web import Application, RequestHandler


class Validator(RequestValidator):
    """What oauthlib asks its application: clients, tokens, nonces."""
    enforce_ssl = False
    dummy_client = dummy_request_token = dummy_access_token = u"dummy"

    # Whatever a consumer, which is anybody, may choose.
    client_key_length = request_token_length = access_token_length = (1, 100)
    nonce_length = (8, 100)
    verifier_length = (1, 100)

    def __init__(self):
        self.request_tokens, self.access_tokens, self.nonces = {}, {}, set()

    safe_characters = property(lambda self: set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"))

    @property
    def allowed_signature_methods(self):
        return "HMAC-SHA1", "HMAC-SHA256"

    def validate_client_key(self, client_key, request):
        return client_key == "site"

    def get_client_secret(self, client_key, request):
        return u"site secret"

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request,
                                     request_token=None, access_token=None):
        key = client_key, timestamp, nonce, request_token, access_token
        is_new = key not in self.nonces
        self.nonces.add(key)
        return is_new

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return redirect_uri.startswith("http://127.0.0.1:")

    def validate_requested_realms(self, client_key, realms, request):
        return True

    def get_default_realms(self, client_key, request):
        return []

    def get_realms(self, token, request):
        return []

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True

    def save_request_token(self, token, request):
        self.request_tokens[token["oauth_token"]] = {
            "secret": token["oauth_token_secret"], "redirect": request.redirect_uri,
            "verifier": None}

    def validate_request_token(self, client_key, token, request):
        return token in self.request_tokens

    verify_request_token = lambda self, token, request: token in self.request_tokens  # noqa: E731

    def get_request_token_secret(self, client_key, token, request):
        return self.request_tokens.get(token, {}).get("secret", u"none")

    def get_redirect_uri(self, token, request):
        return self.request_tokens[token]["redirect"]

    def save_verifier(self, token, verifier, request):
        self.request_tokens[token]["verifier"] = verifier["oauth_verifier"]

    def validate_verifier(self, client_key, token, verifier, request):
        return verifier == self.request_tokens[token]["verifier"] is not None

    def invalidate_request_token(self, client_key, request_token, request):
        del self.request_tokens[request_token]

    def save_access_token(self, token, request):
        self.access_tokens[token["oauth_token"]] = token["oauth_token_secret"]

    def validate_access_token(self, client_key, token, request):
        return token in self.access_tokens

    def get_access_token_secret(self, client_key, token, request):
        return self.access_tokens.get(token, u"none")


class Page(RequestHandler):
    def run(self, endpoint):
        request = self.request
        headers = dict((name, value) for name, value in request.headers.get_all())
        function = getattr(self.application.server, endpoint)
        return function(request.full_url(), request.method, request.body.decode("ascii"), headers)

    def answer(self, outcome):
        headers, body, status = outcome
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body or "")


class RequestToken(Page):
    def post(self):
        self.answer(self.run("create_request_token_response"))


class AccessToken(Page):
    def post(self):
        self.answer(self.run("create_access_token_response"))


class Authorize(Page):
    """The page with the question; `answer` says what the user clicks."""
    def get(self):
        token = self.get_argument("oauth_token")
        if self.get_argument("answer", None) is None:
            self.write('<a id="yes" href="?oauth_token=%s&amp;answer=yes">Allow</a> '
                       '<a id="no" href="?oauth_token=%s&amp;answer=no">Deny</a>' % (token, token))
        elif self.get_argument("answer") == "no":
            self.redirect(self.application.validator.request_tokens[token]["redirect"]
                          + "?denied=" + token)
        else:
            headers, body, status = self.application.server.create_authorization_response(
                self.request.full_url(), credentials={})
            self.redirect(headers["Location"])


class Me(Page):
    """A protected resource; the page of the user, and a form to post to."""
    def get(self):
        valid, _ = self.application.server.validate_protected_resource_request(
            self.request.full_url(), self.request.method, self.request.body.decode("ascii"),
            dict(self.request.headers.get_all()))
        if not valid:
            self.set_status(401)
            return self.write({"errors": [{"message": "Could not authenticate you."}]})
        self.write({"data": {"id": "7", "name": u"Ann \u05d0", "username": "ann"},
                    "said": self.get_argument("status", None)})

    post = get


def make_provider():
    """The application; its `validator` has the tokens."""
    application = Application([
        ("/oauth/request_token", RequestToken), ("/oauth/access_token", AccessToken),
        ("/oauth/authorize", Authorize), ("/oauth/authenticate", Authorize),
        ("/2/users/me", Me), ("/statuses", Me)])
    application.validator = Validator()
    application.server = WebApplicationServer(application.validator)
    application.make_token = generate_token
    return application
