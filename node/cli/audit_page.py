"""The report of an audit as one HTML file."""

from __future__ import annotations

from ledger.audit_report import AuditReport


def page(report: AuditReport) -> str:
    return repr(report)
