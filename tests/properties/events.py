"""Hypothesis strategies: events of few messages with few values, so that they collide."""

from decimal import Decimal

from hypothesis import strategies as st

from models.contract import Engagement, Receipt, Send
from models.time import DAY_MS
from models.vocabulary import EngagementType

NOON_MS = 1_795_176_000_000  # 2026-11-20T12:00:00Z
INSTANTS = st.sampled_from([NOON_MS + seconds * 1000 for seconds in (0, 1, 1, 60, 3_600, 86_400)])
ATTEMPTS = st.sampled_from([1, 1, 1, 2, 3])
MESSAGE_IDS = st.sampled_from(["m1", "m2", "m3"])
WORDS = ["submitted", "queued", "sent", "delivered", "read", "undelivered", "rejected", "deleted"]
WORDS += ["unknown"]
TYPES: list[EngagementType] = ["click", "click", "unsubscribe", "resubscribe", "conversion"]
#: Two spellings of one person, and another one.
RECIPIENTS = st.sampled_from(["+5582999448232", "+558299448232", "+46701234567"])
#: Of the whole message, more often than of one part.
PARTS = st.sampled_from([(None, None)] * 6 + [(1, 2), (2, 2), (1, 3), (2, 3), (3, 3), (1, 1)])
PRICES = st.sampled_from(
    [(None, None)] * 3
    + [(Decimal("0.05"), "EUR"), (Decimal("-0.05"), "EUR"), (Decimal("0.000001"), "USD")]
)


@st.composite
def sends(draw: st.DrawFn, message_ids: st.SearchStrategy[str] = MESSAGE_IDS) -> Send:
    attempt, sent_at = draw(ATTEMPTS), draw(INSTANTS)
    return Send(
        account="acme",
        message_id=draw(message_ids),
        channel=draw(st.sampled_from(["sms", "whatsapp"])),
        recipient=draw(RECIPIENTS),
        sent_at=sent_at,
        attempt=attempt,
        first_sent_at=draw(INSTANTS) if attempt > 1 else None,
        direction=draw(st.sampled_from(["outbound"] * 5 + ["inbound"])),
        source=draw(st.sampled_from(["direct", "campaign"])),
        campaign_id=draw(st.sampled_from([None, "c1"])),
        segments=draw(st.integers(1, 3)),
        credits=draw(st.sampled_from([Decimal("0.05"), Decimal(2)])),
        provider=draw(st.sampled_from([None, "infobip", "sinch"])),
        validity_s=draw(st.sampled_from([60, 7_200])),
        provider_message_id=draw(st.sampled_from([None, "p1"])),
        template=draw(st.sampled_from([None, "welcome"])),
        category=draw(st.sampled_from([None, "utility"])),
        reference=draw(st.sampled_from([None, "r1"])),
    )


@st.composite
def receipts(draw: st.DrawFn, message_ids: st.SearchStrategy[str] = MESSAGE_IDS) -> Receipt:
    part, parts = draw(PARTS)
    price, currency = draw(PRICES)
    return Receipt(
        account="acme",
        message_id=draw(message_ids),
        status=draw(st.sampled_from(WORDS)),
        occurred_at=draw(INSTANTS),
        attempt=draw(st.one_of(st.none(), ATTEMPTS)),
        bounce=draw(st.sampled_from([None, "soft", "hard"])),
        scope=draw(st.sampled_from([None, "recipient", "content"])),
        error_code=draw(st.sampled_from([None, "1", "27", "21610"])),
        provider=draw(st.sampled_from([None, "infobip", "twilio"])),
        provider_message_id=draw(st.sampled_from([None, None, "p1"])),
        part=part,
        parts=parts,
        mccmnc=draw(st.sampled_from([None, None, "23415", "310260"])),
        price=price,
        currency=currency,
        provider_status=draw(st.sampled_from([None, None, "DELIVRD"])),
    )


@st.composite
def engagements(draw: st.DrawFn, message_ids: st.SearchStrategy[str] = MESSAGE_IDS) -> Engagement:
    return Engagement(
        account="acme",
        event_id=draw(st.sampled_from(["e1", "e2"])),
        type=draw(st.sampled_from(TYPES)),
        occurred_at=draw(INSTANTS),
        message_id=draw(message_ids),
        recipient=draw(st.one_of(st.none(), st.none(), RECIPIENTS)),
        link_id=draw(st.sampled_from([None, "l1", "l2"])),
        channel=draw(st.sampled_from([None, None, "sms", "whatsapp"])),
        automated=draw(st.sampled_from([False, False, True])),
    )


ONE = st.just("m1")
events_of_one_message = st.lists(
    st.tuples(
        st.one_of(sends(ONE), receipts(ONE), receipts(ONE), engagements(ONE)),
        st.sampled_from([NOON_MS // DAY_MS, NOON_MS // DAY_MS + 1]),
    ),
    max_size=8,
)
events = st.lists(st.one_of(sends(), receipts(), receipts(), engagements()), max_size=20)
