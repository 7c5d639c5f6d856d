"""Runs that failed: do some arms fail more often, and does a verdict survive counting them?"""

from stats.failed.rates import ArmRate, FailureRates, failure_rates
from stats.failed.survives import Joined, join, join_verdicts

__all__ = ["ArmRate", "FailureRates", "Joined", "failure_rates", "join", "join_verdicts"]
