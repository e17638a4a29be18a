"""Credentials for a TURN server, good for a limited time (coturn's `use-auth-secret`, the "TURN REST API").

    username   = <expiry in Unix seconds>:<participant>
    credential = base64(HMAC-SHA1(secret, username))

The service and coturn share the secret; no account exists anywhere. A page gets them as `Link` headers in the
form of RFC 9725 section 4.6, and asks a relay only where it comes through neither by UDP nor by TCP.
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

GOOD_FOR = timedelta(hours=6)  # coturn asks again at each refresh, every ten minutes: longer than any call


def ice_server_links(
    urls: Sequence[str], secret: str | None, participant: str, utc_now: datetime
) -> list[str]:
    """The values of the `Link` headers, one a server. STUN servers want no credentials."""
    expiry = int((utc_now + GOOD_FOR).timestamp())
    username = f"{expiry}:{participant}"
    links = []
    for url in urls:
        link = f'<{url}>; rel="ice-server"'
        if secret is not None and url.startswith(("turn:", "turns:")):
            credential = base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()
            link += f'; username="{username}"; credential="{credential}"; credential-type="password"'
        links.append(link)
    return links
