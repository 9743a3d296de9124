"""What goes wrong in a sign-in."""
from __future__ import absolute_import, division, print_function

import re

#: Every `reason` of an AuthError, and the message for the person who wanted to sign in.
REASONS = {
    "state": "This sign-in was not started in this browser, or is already complete. Please sign "
             "in again.",
    "expired": "This sign-in took too long. Please sign in again.",
    "denied": "The sign-in was cancelled.",
    "issuer": "The answer came from a different provider.",
    "network": "The provider cannot be reached at the moment. Please try again later.",
    "provider": "The provider answered with an error. Please try again later.",
    "token": "The provider's answer is not valid.",
    "signature": "The provider's answer is not signed correctly.",
    "audience": "The provider's answer is meant for another application.",
    "nonce": "The provider's answer belongs to another sign-in. Please sign in again.",
    "clock": "The provider's answer is too old, or a clock is wrong. Please sign in again.",
}


# Control characters could start a new line of the log, or a command to the terminal that shows it.
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f]+")


class AuthError(Exception):
    """A sign-in that did not succeed.

    `reason` is one of `REASONS`, for programs; `message` is a sentence for the person who wanted to
    sign in; `detail` says what happened, for the log. It may contain text from the provider, so it
    must be escaped where it is shown; it has no control characters.
    """
    def __init__(self, reason, detail="", message=None):
        super(AuthError, self).__init__(reason, detail)
        self.reason = reason
        self.detail = _CONTROLS.sub(" ", detail)
        self.message = message or REASONS[reason]

    def __str__(self):
        return "%s (%s%s)" % (self.message, self.reason, ": " + self.detail if self.detail else "")
