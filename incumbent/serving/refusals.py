"""Requests that are not answered, each with its HTTP status and the reason in words."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is refused.

    Attributes:
        status: HTTP's.
        code: MLflow's word for it.
        retry: Seconds until it may come back; None if it is of no use.
        unread: Whether the rest of the request is not read, so that its connection has to end.
    """

    status = 400
    code = "BAD_REQUEST"
    unread = False

    def __init__(self, message: str, retry: int | None = None) -> None:
        super().__init__(message)
        self.retry = retry


class NotKnown(Refusal):
    """There is no such model or version here."""

    status, code = 404, "RESOURCE_DOES_NOT_EXIST"


class TooSlow(Refusal):
    """The client takes too long to send its request."""

    status, code = 408, "REQUEST_TIMEOUT"


class TooMuch(Refusal):
    """The request holds more than a request may."""

    status, code = 413, "REQUEST_LIMIT_EXCEEDED"


class WrongKind(Refusal):
    """The request is of a content type that is not read."""

    status, code = 415, "UNSUPPORTED_MEDIA_TYPE"


class Busy(Refusal):
    """So much waits already that this request would wait too long."""

    status, code = 429, "RESOURCE_EXHAUSTED"


class NotReady(Refusal):
    """No model is loaded yet."""

    status, code = 503, "TEMPORARILY_UNAVAILABLE"


class Late(Refusal):
    """The answer was not there in time."""

    status, code = 504, "DEADLINE_EXCEEDED"
