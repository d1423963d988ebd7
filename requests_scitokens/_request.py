"""What Requests' objects hold, whatever adapters, mocks and sessions made of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Union
from urllib.parse import urljoin, urlparse, urlsplit

from requests import PreparedRequest, Response, Session, utils
from requests.hooks import dispatch_hook
from requests.sessions import SessionRedirectMixin

from ._origin import Origin, is_loopback, origin_of

#: The proxies that a request goes by, or the session that knows; `None`: the environment's.
Proxies = Union[Session, Mapping[str, str], None]

#: What stands for a hook where a request was pickled: it does nothing, and who unpickles it
#: need not have this package.
NO_HOOK: tuple[Any, ...] = (partial, (dispatch_hook, "response", {}))


def headers_of(message: object) -> Mapping[str, Any]:
    """Return the headers of a request or response."""
    headers = getattr(message, "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def hooks_of(request: object) -> list[Any]:
    """Return the response hooks of a request, in whatever form it has them."""
    hooks = getattr(request, "hooks", None)
    hooks = hooks.get("response") if isinstance(hooks, dict) else None
    return [hooks] if callable(hooks) else list(hooks or ())


def put_first(request: PreparedRequest, hook: Callable[..., Any]) -> None:
    """Let this hook be called before all others; copies share the dictionary there is."""
    others = [one for one in hooks_of(request) if type(one) is not type(hook)]
    request.hooks = {**(request.hooks or {}), "response": [hook, *others]}


def take_out(request: PreparedRequest, hook: object) -> None:
    """Take this hook out, of a copy after a redirect."""
    hooks = hooks_of(request)
    if hook in hooks:
        hooks.remove(hook)
        request.hooks = {**request.hooks, "response": hooks}


def take_authorization_off(request: PreparedRequest) -> None:
    """Give a request fields without credentials; threads may be sending what it had."""
    headers = request.headers.copy()
    headers.pop("Authorization", None)
    request.headers = headers


def lost_its_hook(request: object) -> bool:
    """Tell whether this request was pickled with a hook, which is not there any more."""
    for hook in hooks_of(request):
        if isinstance(hook, partial) and hook.func is dispatch_hook:
            return True
    return False


# --- sessions


def decides_in_rebuild_auth(session: object) -> bool:
    """Tell whether Requests' own `rebuild_auth` decides about redirects, or ours.

    Many classes have another, and some keep the header whatever the server is.
    """
    if session is None or "rebuild_auth" in vars(session):
        return False
    owner = next(one for one in type(session).__mro__ if "rebuild_auth" in vars(one))
    return owner is SessionRedirectMixin or "_decides_after_redirects" in vars(owner)


def decides_about(session: Session | None, response: Response) -> bool:
    """Tell whether that is so, and it is this session that follows a redirect.

    Another one may send what this one prepared; the adapter is of the one that did.
    """
    adapter = getattr(response, "connection", None)
    known = any(one is adapter for one in getattr(session, "adapters", {}).values())
    # Requests itself looks at that URL, if the header is there.
    usual = hasattr(getattr(response, "request", None), "url")
    return known and usual and decides_in_rebuild_auth(session)


def by_proxy(origins: Iterable[Origin], proxies: Proxies) -> tuple[Origin, ...]:
    """Return the origins on this machine of which a proxy elsewhere can read plain http."""
    return tuple(
        one
        for one in origins
        if one.scheme == "http"
        and is_loopback(one.host)
        and any(_leaves(f"{one}/", each) for each in _proxies_of(proxies, f"{one}/"))
    )


def _proxies_of(known: Proxies, url: str) -> list[Mapping[str, str]]:
    if isinstance(known, Mapping):
        return [known]
    own: Mapping[str, str] = getattr(known, "proxies", None) or {}
    if known is not None and not known.trust_env:
        return [own]
    environment = utils.get_environ_proxies(url) if _environment_has_proxies() else {}
    # `Session.request` takes the environment's before those of the session, and
    # `Session.send` after them.
    return [{**own, **environment}, {**environment, **own}]


def _environment_has_proxies() -> bool:
    # To ask Requests takes half as long as a request on loopback, and most users have none.
    elsewhere = sys.platform in ("darwin", "win32")  # the system's settings
    return elsewhere or "_PROXY" in " ".join(os.environ).upper()


def _leaves(url: str, proxies: Mapping[str, str]) -> bool:
    """Tell whether a proxy that may be another machine gets a plain http request.

    Requests does not except loopback: `NO_PROXY` has to.
    """
    try:
        proxy = utils.select_proxy(url, dict(proxies))
        if not proxy:
            return False
        split = urlsplit(utils.prepend_scheme_if_needed(proxy, "http"))
    except ValueError:  # urllib3's errors about URLs are that, too
        return True  # Requests will say so, if it is used at all
    return split.scheme.startswith("socks") or not is_loopback(split.hostname or "")


# --- redirects


def location_of(response: Response) -> str | None:
    """Return where a response redirects to, as the server wrote it; "" if it is odd."""
    try:
        return SessionRedirectMixin().get_redirect_target(response)
    except Exception:  # noqa: BLE001, a server or an adapter may say anything
        return ""


def target_of(response: Response, location: str) -> str:
    """Return the URL that Requests goes to, computed as it computes it; "" if odd."""
    try:
        if location.startswith("//"):
            location = f"{urlparse(response.url).scheme}:{location}"
        parsed = urlparse(location)
        url: str = utils.requote_uri(parsed.geturl())
        return url if parsed.netloc else urljoin(response.url, url)
    except Exception:  # noqa: BLE001, likewise
        return ""


# An absolute URL, or a path: nothing that one reader could take for a host, and another for
# a path.
_HOST = r"https?://[a-z0-9.:\[\]_-]+(?=[/?#]|$)"
_PATH = r"(?![a-z0-9+.-]*:|//)"
_CERTAIN = re.compile(rf"(?:{_HOST}|{_PATH})[!-\[\]-~]*", re.IGNORECASE)


def stays_at(origin: Origin | None, response: Response, location: str) -> bool:
    """Tell whether a redirect certainly leads to the same origin, whoever follows it."""
    if not _CERTAIN.fullmatch(location):
        return False
    read = (target_of(response, location), urljoin(str(response.url), location))
    return origin is not None and all(origin_of(url) == origin for url in read)


def origins_before(response: Response) -> list[Origin | None]:
    """Return the origins whose redirects led to a response, and its own."""
    before = [*(getattr(response, "history", None) or ()), response]
    return [origin_of(getattr(one, "url", None)) for one in before]
