"""Every report, in the order people look for them."""

from typing import Final

from reports.catalogue.messages import MESSAGES
from reports.catalogue.overview import OVERVIEW
from reports.report import Report

REPORTS: Final[tuple[Report, ...]] = (OVERVIEW, MESSAGES)
BY_NAME: Final = {report.name: report for report in REPORTS}
