"""JSON Schemas of the event contract, generated from the models; published in docs/contract/."""

import json
from typing import Final

from models.contract import Campaign, Engagement, Event, Receipt, Send
from models.provider_ids import ProviderId

EVENTS: Final[dict[str, type[Event]]] = {
    "sends": Send,
    "receipts": Receipt,
    "engagements": Engagement,
    "campaigns": Campaign,
    "provider-ids": ProviderId,
}


def schema_text(topic: str) -> str:
    """The JSON Schema of one input topic's values, as the file in docs/contract/ has it."""
    schema = EVENTS[topic].model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
