"""Secrets in URLs: hidden where they are shown or recorded, filled in where they are used."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from urllib.parse import unquote

from incumbent.errors import DataError

# User info in a URL, up to the @; a password may hold / ? # @ by mistake, and what precedes the @
# in Azure's URLs is a container. `::` joins the links of a chain.
_USER = re.compile(
    r"(?<=://)(?<!abfs://)(?<!abfss://)(?<!az://)"
    r"(?:(?:(?!::)[^/?#])*|[^/?#:@\[]*:(?!:|\d*(?:[/?#]|$))(?:(?!::).)*)@",
    re.DOTALL,
)
_QUERY = re.compile(r"[?#].*?(?=::\w[\w+.-]*://|$)", re.DOTALL)  # and fragment, of each link
_URL = re.compile(r"""\w[\w+.-]*://[^\s'"<>]+""")
_LOOSE_QUERY = re.compile(r"""\?[^\s'"?]+=[^\s'"]*""")
_NAMED = re.compile(r"\$\{(\w+)\}")


def public(source: str) -> str:
    """A path as it is, and a URL without what may be secret: query, fragment and user info."""
    return _QUERY.sub("", _USER.sub("", source)) if "://" in source else source


def without_secrets(message: object, source: str, settings: Mapping[str, str]) -> str:
    """What a library says of a source that was expanded: it may quote its address in any form.

    Its URLs are made public, and what the settings put into it is under its name again.
    """
    text = masked(str(message), source, settings).replace(source, public(source))
    return _LOOSE_QUERY.sub("", _URL.sub(lambda url: public(url[0]), text))


def masked(text: str, source: str, settings: Mapping[str, str]) -> str:
    """A text with `${NAME}` for each value that `expanded` put into a source, however quoted."""
    found = {name: settings.get(name, "").strip("/") for name in _NAMED.findall(source)}
    # The longest first: one value may begin another.
    values = sorted(filter(lambda one: one[1], found.items()), key=lambda one: -len(one[1]))
    forms = [r"\$\{\w+\}", *(f"({_in_any_form(value)})" for _, value in values)]

    def named(seen: re.Match[str]) -> str:
        return f"${{{values[seen.lastindex - 1][0]}}}" if seen.lastindex else seen[0]

    return re.sub("|".join(forms), named, text, flags=re.IGNORECASE)  # as of %2f, and of a host


def _in_any_form(value: str) -> str:
    """A pattern of a value: libraries quote, or unquote, each character or not."""
    return "|".join(
        "".join(f"(?:{'|'.join(map(re.escape, _forms(character)))})" for character in form)
        for form in dict.fromkeys((value, unquote(value)))
    )


def _forms(character: str) -> set[str]:
    quoted = "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogateescape"))
    return {character, quoted, repr(character)[1:-1], *("+" if character == " " else "")}


def expanded(source: str, settings: Mapping[str, str]) -> str:
    """An address with the value of each `${NAME}` in it: to be used, and never shown.

    Raises:
        DataError: if a name is not set.
    """

    def value(name: re.Match[str]) -> str:
        if name[1] in settings:
            return settings[name[1]]
        raise DataError(
            f"{public(source)}: {name[0]} stands in the address, and {name[1]} is not set in the "
            "environment. Set it where the run takes place: for scheduled runs that is where "
            "`make up` is called."
        )

    return _NAMED.sub(value, source)


def hidden(source: str, name: str, settings: MutableMapping[str, str]) -> str:
    """An address that may be recorded: what may be secret in it is moved to the environment.

    Args:
        source: A path or URL.
        name: Begins the names of the variables.
        settings: The environment, which gets them.

    Returns:
        The address with `${NAME}` for each, as `expanded` takes it.
    """
    if "://" not in source:
        return source

    def moved(secret: str) -> str:
        if not secret or _NAMED.fullmatch(secret):
            return secret
        variable = f"{name}_{sum(known.startswith(name) for known in settings)}"
        settings[variable] = secret
        return f"${{{variable}}}"

    without_user = _USER.sub(lambda found: moved(found[0][:-1]) + "@", source)
    return _QUERY.sub(lambda found: found[0][0] + moved(found[0][1:]), without_user)
