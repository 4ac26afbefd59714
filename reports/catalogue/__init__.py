"""All reports, in the order of the docs and the help."""

from typing import Final

from reports.catalogue.campaign import CAMPAIGN
from reports.catalogue.campaigns import CAMPAIGNS
from reports.catalogue.failed import FAILED
from reports.catalogue.insight import INSIGHT
from reports.catalogue.locations import LOCATIONS
from reports.catalogue.message import MESSAGE
from reports.catalogue.messages import MESSAGES
from reports.catalogue.overview import OVERVIEW
from reports.catalogue.person import PERSON_REPORT
from reports.catalogue.recipients import RECIPIENTS
from reports.catalogue.singles import SINGLES
from reports.catalogue.speed import SPEED
from reports.catalogue.suppressions import SUPPRESSIONS
from reports.catalogue.unmatched import UNMATCHED
from reports.catalogue.whatsapp import WHATSAPP
from reports.definition.report import Report

REPORTS: Final[tuple[Report, ...]] = (
    OVERVIEW,
    LOCATIONS,
    MESSAGES,
    MESSAGE,
    WHATSAPP,
    CAMPAIGNS,
    CAMPAIGN,
    RECIPIENTS,
    SINGLES,
    PERSON_REPORT,
    FAILED,
    INSIGHT,
    SPEED,
    SUPPRESSIONS,
    UNMATCHED,
)
BY_NAME: Final = {report.name: report for report in REPORTS}
