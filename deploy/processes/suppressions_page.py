"""GET /suppressions/{account}/{recipient}: whether a number may be sent to, for senders that do not
keep the topic `suppressions` themselves. See ADR 0008.

Answered from what every worker keeps of the whole topic, so any worker answers for any number.
"""

import json
import math

from aiohttp import web

from deploy.kafka.suppression_client import BadNumber, key_of_number
from streams.followers.suppression_index import SuppressionEntry, SuppressionIndex

NOTHING = {
    "suppressed": False,
    "reasons": (),
    "since": 0,
    "until": 0,
    "strikes": None,
    "version": None,
}
"""Of numbers that are not suppressed nothing is kept: not their strikes, nor a version."""


def suppressions_page(suppressed: SuppressionIndex, max_age_s: float) -> web.RouteDef:
    """The page as a route; it answers from the thread that serves the pages.

    200 and JSON with the fields of a record of the topic, times in epoch ms, 0 = none; the header
    Age says how many seconds ago this worker knew all of the topic. 400 when account or number is
    none. 503 while the topic is not read whole, and when Age would be above max_age_s: a worker
    that is cut off from Kafka must not be believed.
    """

    async def page(request: web.Request) -> web.Response:
        account, recipient = request.match_info["account"], request.match_info["recipient"]
        try:
            key = key_of_number(account, recipient)
        except BadNumber as error:
            return _json({"error": str(error)}, 400)
        staleness_s = suppressed.staleness_s()
        if staleness_s is None:
            reading = "the topic suppressions is still being read; ask again, or another worker"
            return _json({"error": reading}, 503)
        if staleness_s > max_age_s:
            silence = f"nothing was heard of the topic suppressions for {staleness_s:.0f} s"
            return _json({"error": f"{silence}; ask another worker"}, 503)
        said = {"account": account, "recipient": recipient, **_said(suppressed.known(key))}
        # Rounded up: what was published within Age seconds may be missing.
        return _json(said, 200, Age=str(math.ceil(staleness_s)))

    return web.get("/suppressions/{account}/{recipient}", page)


def _said(known: SuppressionEntry | None) -> dict[str, object]:
    return NOTHING if known is None else {"suppressed": True, **known._asdict()}


def _json(body: dict[str, object], status: int, **headers: str) -> web.Response:
    return web.Response(
        text=json.dumps(body) + "\n",
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **headers},
    )
