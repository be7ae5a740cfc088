"""All figures in, tables and report.json out."""

from mbn.report.record import (
    Check,
    Memory,
    NetworkFacts,
    Report,
    ResultFacts,
    StageFacts,
    load_report,
    save,
)

__all__ = [
    "Check",
    "Memory",
    "NetworkFacts",
    "Report",
    "ResultFacts",
    "StageFacts",
    "load_report",
    "save",
]
