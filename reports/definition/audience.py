"""Who did what in campaigns: the conditions behind recipients' tabs and segments, written once.

A person is a recipient's number within an account. Words: docs/reports.md.
"""

from typing import Final, Literal

#: What people did, or what became of what they were sent.
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

#: Of messages: it is people with at least one such message in the campaigns.
_OF_MESSAGES: Final = {
    "sent": "is_sent",
    "delivered": "is_delivered",
    "pending": "is_queued",
    "soft": "is_soft",
    "hard": "is_hard",
    "deleted": "is_deleted",
    "failed": "is_failed",
}
_SUPPRESSED: Final = (
    "recipient IN (SELECT recipient FROM suppressions"
    " WHERE account = {account:String} AND suppressed)"
)


#: Tabs of clicks: links are part of them.
OF_CLICKS: Final = ("clicked", "not_clicked")


def messages_of(campaigns: str) -> str:
    """The view to select from: messages of campaigns, read from the days of their sending alone.

    campaigns: SQL of an array of campaign ids, such as a query parameter.
    """
    return _of("reported_campaign_messages", campaigns)


def condition_for(word: Action, campaigns: str, links: str = "") -> str:
    """Condition on the messages of `messages_of`: those of people who did it in these campaigns.

    links: SQL of an array of link ids, clicks of others do not count; empty array or none: any.
    """
    if word == "clicked":
        return clicked(campaigns, links)
    if word == "not_clicked":
        return f"NOT ({clicked(campaigns, links)})"
    if word == "unsubscribed":
        return f"recipient IN ({_engaged('unsubscribe', campaigns)})"
    return _SUPPRESSED if word == "suppressed" else _OF_MESSAGES[word]


def condition_for_link(word: Action, campaigns: str, links: str) -> str:
    """The same of people who clicked one of the links, but for those who clicked none of them.

    links: SQL of a filled array. Source: the filter `link` of the report recipients.
    """
    condition = condition_for(word, campaigns, links)
    return condition if word in OF_CLICKS else f"{condition} AND {clicked(campaigns, links)}"


def clicked(campaigns: str, links: str) -> str:
    """Condition: those of people who clicked one of the links, or any."""
    return f"recipient IN ({_engaged('click', campaigns, links)})"


def _engaged(kind: str, campaigns: str, links: str = "") -> str:
    """Recipients of clicks or unsubscribes of campaigns."""
    of_links = f" AND (empty({links}) OR has({links}, link_id))" if links else ""
    return (
        f"SELECT recipient FROM {_of('reported_engagements', campaigns)}"
        f" WHERE type = '{kind}'{of_links}"
    )


def _of(view: str, campaigns: str) -> str:
    return f"{view}(account = {{account:String}}, campaigns = {campaigns})"
