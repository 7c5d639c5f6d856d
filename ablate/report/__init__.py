"""The significance report: on the terminal, and as files that need nothing else.

matplotlib, pandas and jinja2 are imported when a report is made, not with this package.
"""

from ablate.report.findings import ArmInfo, Findings
from ablate.report.terminal import terminal_report
from ablate.report.write import ReportFiles, write_report

__all__ = ["ArmInfo", "Findings", "ReportFiles", "terminal_report", "write_report"]
