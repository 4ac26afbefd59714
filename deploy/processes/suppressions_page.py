"""GET /suppressions/{account}/{recipient}: whether a recipient is suppressed, and for what.

For senders that do not read the topic `suppressions` themselves (docs/adr/0008). Every worker
reads the whole topic, so any worker answers for any recipient.
"""

import json
import math
from collections.abc import Mapping

from aiohttp import web

from deploy.kafka.suppression_client import (
    InvalidRecipient,
    channel_fields,
    checked_account,
    checked_channel,
    checked_recipient,
)
from models.suppression import ChannelStatus, of_any
from models.vocabulary import CHANNELS, Channel
from streams.followers.suppression_index import SuppressionIndex

Fields = dict[str, object]


def suppressions_page(suppressed: SuppressionIndex, max_age_s: float) -> web.RouteDef:
    """The page as a route of the monitoring server.

    200 and JSON with the fields of a record of the topic and what it binds, times in epoch ms, 0 =
    none; with ?channel=sms those of the channel, else those of any and `channels` with each. The
    header Age has the seconds since this worker last knew the whole topic. 400 for an invalid
    account, recipient or channel. 503 until the topic is read whole, and when Age would be above
    max_age_s: a worker that is cut off from Kafka must not be believed.
    """

    async def page(request: web.Request) -> web.Response:
        try:
            account = checked_account(request.match_info["account"])
            recipient = checked_recipient(request.match_info["recipient"])
            named = request.query.get("channel")
            channel = checked_channel(named) if named is not None else None
        except InvalidRecipient as error:
            return _json({"error": str(error)}, 400)
        staleness_s = suppressed.staleness_s()
        if staleness_s is None:
            reading = "the topic suppressions is still being read; try again, or another worker"
            return _json({"error": reading}, 503)
        if staleness_s > max_age_s:
            silence = f"nothing was read from the topic suppressions for {staleness_s:.0f} s"
            return _json({"error": f"{silence}; try another worker"}, 503)
        fields = _fields(suppressed, account, recipient, channel)
        # Rounded up: records published within the last Age seconds may be missing.
        age = str(math.ceil(staleness_s))
        return _json({"account": account, "recipient": recipient, **fields}, 200, Age=age)

    return web.get("/suppressions/{account}/{recipient}", page)


def _fields(
    suppressed: SuppressionIndex, account: str, recipient: str, channel: Channel | None
) -> Fields:
    known = suppressed.known(account, recipient)
    bound = {each.channel: each for each in known.channels} if known is not None else {}
    version = known.version if known is not None else None
    if channel is not None:
        return {**_of_channel(bound, channel), "version": version}
    status = of_any(tuple(bound.values()))
    return {
        "suppressed": status.suppressed,
        "reasons": status.reasons,
        "since": status.since,
        "until": status.until,
        "strikes": status.strikes if bound else None,
        "version": version,
        "channels": [_of_channel(bound, each) for each in CHANNELS],
        "binds": status.binds,
    }


def _of_channel(bound: Mapping[str, ChannelStatus], channel: Channel) -> Fields:
    """The index has suppressed recipients only: of others the strikes are not known."""
    status = bound.get(channel)
    if status is None:
        free = ChannelStatus(channel, False, (), 0, 0, 0)
        return {**channel_fields(free), "strikes": None}
    return channel_fields(status)


def _json(body: Fields, status: int, **headers: str) -> web.Response:
    return web.Response(
        text=json.dumps(body) + "\n",
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **headers},
    )
