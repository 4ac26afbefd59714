"""Faust's assignor with our plan: members say which tables they have, the leader plans by it.

Protocol and name are Faust's, so members with and without it form one group; if one without it
leads, Faust's own plan applies.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import (
    ClientAssignment,
    ClientMetadata,
    CopartitionedAssignment,
)
from faust.assignor.partition_assignor import PartitionAssignor

from streams.batching.assignment import Member, plan_shares

if TYPE_CHECKING:
    from streams.batching.app import BatchApp


class Metadata(ClientMetadata, serializer="json", include_metadata=False, namespace="@Metadata"):
    """What a member says when it joins, and what the leader answers.

    lags: see assignment.Member; warming: see assignment.Share
    """

    lags: Mapping[str, int] = cast(Mapping[str, int], None)
    warming: list[int] = cast(list[int], None)


class BatchAssignor(PartitionAssignor):
    """warming: standbys of this member that are to become its own when it has caught up"""

    def __init__(self, app: Any, replicas: int = 0) -> None:
        super().__init__(app, replicas)
        self.warming: frozenset[int] = frozenset()

    @property
    def _metadata(self) -> ClientMetadata:
        lags = cast("BatchApp", self.app).table_lags()
        return _with(super()._metadata, lags={str(number): lag for number, lag in lags.items()})

    @classmethod
    def _get_client_metadata(cls, metadata: Any) -> ClientMetadata:
        return cast(ClientMetadata, Metadata.loads(metadata.user_data))

    def on_assignment(self, assignment: Any) -> None:
        """As Faust's, and remember what is to become ours."""
        super().on_assignment(assignment)
        answer = cast(Metadata, Metadata.loads(self._decompress(assignment.user_data)))
        self.warming = frozenset(answer.warming or ())

    def _perform_assignment(
        self, cluster: Any, member_metadata: Mapping[str, Any]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """As Faust's (assignor/partition_assignor.py:242), with our plan for each group of topics
        that have the same partitions and subscribers."""
        clients = {name: self._get_client_metadata(each) for name, each in member_metadata.items()}
        subscribed = {name: set(each.subscription) for name, each in member_metadata.items()}
        self._update_member_urls(clients)
        assignments = {name: ClientAssignment(actives={}, standbys={}) for name in clients}
        warming: dict[str, set[int]] = {name: set() for name in clients}
        group_of: dict[str, int] = {}
        all_topics = set(chain.from_iterable(subscribed.values()))
        groups = self._get_copartitioned_groups(
            all_topics, cluster, {name: list(topics) for name, topics in subscribed.items()}
        )
        for number, (partitions, topic_groups) in enumerate(sorted(groups.items())):
            for topics in topic_groups:
                group_of |= dict.fromkeys(topics, number)
                members = {
                    name: _member(client, topics)
                    for name, client in clients.items()
                    if topics <= subscribed[name]
                }
                for name, share in plan_shares(members, partitions, self.replicas).items():
                    assignments[name].add_copartitioned_assignment(
                        CopartitionedAssignment(share.actives, share.standbys, topics)
                    )
                    warming[name] |= share.warming
        return self._answers(assignments, warming, group_of)

    def _answers(
        self,
        assignments: dict[str, ClientAssignment],
        warming: Mapping[str, set[int]],
        group_of: Mapping[str, int],
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        answers = self._protocol_assignments(
            assignments,
            self._get_changelog_distribution(assignments),
            self._get_external_topic_distribution(assignments),
            group_of,
        )
        for name, answer in answers.items():
            metadata = Metadata.loads(self._decompress(answer.user_data))
            metadata.warming = sorted(warming[name])
            answer.user_data = self._compress(metadata.dumps())
        return dict(answers)


def _member(client: ClientMetadata, topics: set[str]) -> Member:
    lags = cast(Metadata, client).lags or {}
    actives = client.assignment.copartitioned_assignment(topics).actives
    return Member(frozenset(actives), {int(number): lag for number, lag in lags.items()})


def _with(metadata: ClientMetadata, **more: Any) -> Metadata:
    return Metadata(
        assignment=metadata.assignment,
        url=metadata.url,
        changelog_distribution=metadata.changelog_distribution,
        external_topic_distribution=metadata.external_topic_distribution,
        topic_groups=metadata.topic_groups,
        **more,
    )
