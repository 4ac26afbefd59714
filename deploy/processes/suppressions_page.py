"""GET /suppressions/{account}/{recipient}: whether a recipient is suppressed.

For senders that do not read the topic `suppressions` themselves (docs/adr/0008). Every worker
reads the whole topic, so any worker answers for any recipient.
"""

import json
import math

from aiohttp import web

from deploy.kafka.suppression_client import InvalidRecipient, checked_key
from streams.followers.suppression_index import SuppressionEntry, SuppressionIndex

NOT_SUPPRESSED = {
    "suppressed": False,
    "reasons": (),
    "since": 0,
    "until": 0,
    "strikes": None,
    "version": None,
}
"""The index has suppressed recipients only, so strikes and version of others are not known."""


def suppressions_page(suppressed: SuppressionIndex, max_age_s: float) -> web.RouteDef:
    """The page as a route of the monitoring server.

    200 and JSON with the fields of a record of the topic, times in epoch ms, 0 = none; the header
    Age has the seconds since this worker last knew the whole topic. 400 for an invalid account or
    recipient. 503 until the topic is read whole, and when Age would be above max_age_s: a worker
    that is cut off from Kafka must not be believed.
    """

    async def page(request: web.Request) -> web.Response:
        account, recipient = request.match_info["account"], request.match_info["recipient"]
        try:
            key = checked_key(account, recipient)
        except InvalidRecipient as error:
            return _json({"error": str(error)}, 400)
        staleness_s = suppressed.staleness_s()
        if staleness_s is None:
            reading = "the topic suppressions is still being read; try again, or another worker"
            return _json({"error": reading}, 503)
        if staleness_s > max_age_s:
            silence = f"nothing was read from the topic suppressions for {staleness_s:.0f} s"
            return _json({"error": f"{silence}; try another worker"}, 503)
        fields = _fields(suppressed.known(key))
        # Rounded up: records published within the last Age seconds may be missing.
        age = str(math.ceil(staleness_s))
        return _json({"account": account, "recipient": recipient, **fields}, 200, Age=age)

    return web.get("/suppressions/{account}/{recipient}", page)


def _fields(known: SuppressionEntry | None) -> dict[str, object]:
    return NOT_SUPPRESSED if known is None else {"suppressed": True, **known._asdict()}


def _json(body: dict[str, object], status: int, **headers: str) -> web.Response:
    return web.Response(
        text=json.dumps(body) + "\n",
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **headers},
    )
