"""Telling an address of a change: a webhook by HTTP, anything else by apprise."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from nbflow.errors import MissingExtraError, UsageError


def send(url: str, message: str, facts: Mapping[str, Any], *, timeout: float) -> None:
    """Post *facts* and the *message* as JSON to a web address, or hand the message to apprise. Raises where it fails."""
    if url.startswith(("http://", "https://")):
        body = json.dumps({**facts, "text": message}).encode()
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout):
            return
    try:
        import apprise
    except ImportError:
        raise MissingExtraError(f"a notification to {url.partition('://')[0]}://", "notify") from None
    service = apprise.Apprise()
    if not service.add(url):
        raise UsageError(f"{url.partition('://')[0]}:// is no notification URL that apprise knows")
    if not service.notify(body=message, title=f"nbflow: {facts['state']}"):
        raise UsageError(f"apprise could not deliver to {url.partition('://')[0]}://")
