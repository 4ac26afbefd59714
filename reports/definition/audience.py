"""Who did what in campaigns: SQL conditions behind the tabs of recipients and the segments.

A person is a recipient within an account, whatever the spelling of the number: the column
`person` of messages. The actions: docs/reports.md.
"""

from typing import Final, Literal

from reports.definition.report import expand_includes

#: What people did, or what became of the messages sent to them.
Action = Literal[
    "sent",
    "delivered",
    "pending",
    "soft",
    "hard",
    "deleted",
    "failed",
    "clicked",
    "not_clicked",
    "unsubscribed",
    "suppressed",
]

#: Columns of messages. An action holds for people with at least one such message.
_FLAGS: Final = {
    "sent": "is_sent",
    "delivered": "is_delivered",
    "pending": "is_queued",
    "soft": "is_soft",
    "hard": "is_hard",
    "deleted": "is_deleted",
    "failed": "is_failed",
}
#: Condition: messages to people who are suppressed now on the channel of the message.
SUPPRESSED: Final = (
    "(person, channel) IN (SELECT recipient, channel FROM suppressions"
    " WHERE account = {account:String} AND suppressed)"
)
#: SELECT of people with the channels on which they are suppressed, as a text.
SUPPRESSED_PEOPLE: Final = expand_includes("/*include suppressed_people*/")
#: Actions that depend on links.
CLICK_ACTIONS: Final = ("clicked", "not_clicked")


def messages_of(campaigns: str) -> str:
    """The view of the messages of campaigns; it reads only the days on which they were sent.

    campaigns: SQL of an array of campaign ids, such as a query parameter.
    """
    return _of("reported_campaign_messages", campaigns)


def condition_for(action: Action, campaigns: str, links: str = "") -> str:
    """Condition on `messages_of(campaigns)`: messages of people who did it in these campaigns.

    links: SQL of an array of link ids; only their clicks count. "" or an empty array: all clicks.
    """
    if action == "clicked":
        return clicked(campaigns, links)
    if action == "not_clicked":
        return f"(is_delivered AND NOT ({clicked(campaigns, links)}))"
    if action == "unsubscribed":
        return f"person IN ({_engaged('unsubscribe', campaigns)})"
    return SUPPRESSED if action == "suppressed" else _FLAGS[action]


def condition_for_link(action: Action, campaigns: str, links: str) -> str:
    """As `condition_for`, and the people clicked one of the links (not_clicked: none of them).

    links: SQL of an array that is not empty. The filter `link` of the report recipients does the
    same.
    """
    condition = condition_for(action, campaigns, links)
    return condition if action in CLICK_ACTIONS else f"{condition} AND {clicked(campaigns, links)}"


def clicked(campaigns: str, links: str) -> str:
    """Condition: messages of people who clicked one of the links. "" or an empty array: any."""
    return f"person IN ({_engaged('click', campaigns, links)})"


def without_suppressed(campaigns: str, unless: str) -> str:
    """Condition: messages to nobody who is suppressed on the channel of one of their messages.

    unless: SQL of what lifts the condition.
    """
    theirs = f"{SUPPRESSED} AND ({{channel:String}} = '' OR channel = {{channel:String}})"
    return (
        f"({unless} OR person NOT IN (SELECT person FROM {messages_of(campaigns)} WHERE {theirs}))"
    )


def _engaged(kind: str, campaigns: str, links: str = "") -> str:
    """SELECT of the people who clicked or unsubscribed; programs that clicked are nobody."""
    of_links = f" AND (empty({links}) OR has({links}, link_id))" if links else ""
    return (
        f"SELECT person FROM {_of('reported_engagements', campaigns)}"
        f" WHERE type = '{kind}' AND NOT automated{of_links}"
    )


def _of(view: str, campaigns: str) -> str:
    return f"{view}(account = {{account:String}}, campaigns = {campaigns})"
