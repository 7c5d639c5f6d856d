"""From a study to the view of its plan: what the home has done, how long the rest takes."""

from __future__ import annotations

from ablate.checkpoints import expected_bytes
from ablate.home import Home, find_home
from ablate.ledger import Ledger, open_ledger
from ablate.options import Options
from ablate.plan import Plan, make_plan
from ablate.planning.estimate import ENOUGH, Estimate, Measured, estimate
from ablate.planning.pilot import pilot_plan
from ablate.planning.typical import machine_speed
from ablate.planning.view import PlanView
from ablate.probing.choose import block_runs, looks_inside, reference_arms
from ablate.result import DIVERGED, DONE
from ablate.study import Study


def plan_view(study: Study, options: Options, *, with_pilot: bool = False) -> PlanView:
    """The plan of a study in its home. ``with_pilot`` also asks the runs there for pairs needed.

    Nothing is changed; a ledger is opened to be read.
    """
    plan = make_plan(study)
    home = find_home(options.home)
    states: dict[str, str] = {}
    measured, pilot = Measured(), None
    if home.ledger.exists():
        ledger = open_ledger(home.ledger, read_only=True)
        try:
            states, measured = ledger.states(plan.specs), _measured(ledger)
            pilot = pilot_plan(plan, ledger) if with_pilot else None
        finally:
            ledger.close()
    return PlanView(
        plan,
        states,
        expected_time(plan, options, states, measured),
        options.workers,
        home.root,
        expected_bytes(home.checkpoints, plan.specs.values()),
        pilot,
        structure_lines(plan),
    )


def expected_time(
    plan: Plan,
    options: Options,
    states: dict[str, str],
    measured: Measured,
    speed: float | None = None,
) -> Estimate:
    """The expected time of what a plan's home lacks, the look inside included.

    ``speed`` is that of the machine, measured where it is needed and not given.
    """
    ended = {key for key, state in states.items() if state in (DONE, DIVERGED)}
    to_do = [spec for key, spec in plan.specs.items() if key not in ended]
    probes = 0
    if looks_inside(plan, options):
        chosen = {run.key for run in block_runs(plan, reference_arms(plan.design))}
        probes = len(chosen - ended)
    if speed is None:
        speed = 1.0 if len(measured.runs) >= ENOUGH or not to_do else machine_speed(options.workers)
    return estimate(to_do, measured, options.workers, probes=probes, speed=speed)


def structure_lines(plan: Plan) -> list[str]:
    """What the design can tell apart; nothing for designs that confound nothing."""
    from ablate.design.structure import structure_text

    return structure_text(plan.design)


def home_measured(home: Home) -> Measured:
    """The finished runs of a home with their costs; none without a ledger."""
    if not home.ledger.exists():
        return Measured()
    ledger = open_ledger(home.ledger, read_only=True)
    try:
        return _measured(ledger)
    finally:
        ledger.close()


def _measured(ledger: Ledger) -> Measured:
    """Runs that took time here; what a run in a synthetic world cost is made up."""
    return Measured([(spec, cost) for spec, cost in ledger.costs() if not spec.world])
