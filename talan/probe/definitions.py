"""What is measured, by name, formula and source; free of torch, so that reports read it at once.

Notation. State l = 0..L: h[l] (tokens, d) is the residual stream that enters decoder layer l, and
h[L] what leaves the last layer, before the final norm. h_0 is the stream with the block bypassed
in the same checkpoint, h_v the stream under variant v, h_b the stream without block and adapter.
D = h_v - h_0 is the perturbation, U = h_0 - h_b the adapter's update. |.| is the Euclidean norm of
one token's vector, ||.|| the Frobenius norm over all pooled tokens. k is the insertion site.

A ratio whose denominator is 0 is undefined: NaN, never 0 and never infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

VARIANTS: dict[str, str] = {
    "block": "the block as it is (control `shuffled`: with the donors it needs in evaluation)",
    "static": (
        "every token reads the mean slots instead of its own: the mean over the pooled tokens of "
        "each prompt, then over the prompts of each benchmark, then over the benchmarks, each "
        "weighing the same; token t still reads them with its own query"
    ),
    "shuffled": (
        "prompt i reads the memory of another sequence: of number i of the donors given (counted "
        "round), else of prompt i of the next benchmark, else, with one benchmark, of prompt i + 1"
    ),
    "random": (
        "the block's change of each token, turned by one random orthogonal matrix per draw, the "
        "same for all tokens, prompts and benchmarks: each token's change has a random direction "
        "and its own norm, and the angles between tokens stay as they are"
    ),
}
"""What takes the place of the block's change, by name."""

Per = Literal["layer", "benchmark", "pair", "block"]

POOLED = (
    "all valid tokens that the block may write: every one under `causal`, those from the last "
    "prompt token on under `prompt`; no padding, no virtual tokens of PEFT"
)
LAST = "the last prompt token of each prompt"
EVERY_PROMPT = "all prompts given for the benchmark"
FLOAT32 = "streams cast to float32 when captured; sums over tokens in float64"
FLOAT64 = "logits cast to float64"
BLOCK32 = "float32, as in the block; sums over tokens in float64"


@dataclass(frozen=True)
class Measure:
    """The definition of one measure.

    `per` says what one value belongs to: a `layer` (state) and benchmark, a `benchmark`, a `pair`
    of benchmarks, or the `block`. `formula` is in the notation of this module. `tokens`,
    `prompts` and `dtype` say over what it is taken and in which precision; `source` names where
    the definition comes from, or says "chosen". `variants` are those it is taken for.
    """

    name: str
    per: Per
    formula: str
    about: str
    unit: str
    source: str
    tokens: str = POOLED
    prompts: str = EVERY_PROMPT
    dtype: str = FLOAT32
    variants: tuple[str, ...] = tuple(VARIANTS)

    def text(self) -> str:
        """The definition as lines of plain text."""
        return (
            f"{self.name} = {self.formula}\n{self.about} Unit: {self.unit}. "
            f"Source: {self.source}.\nTokens: {self.tokens}.\nPrompts: {self.prompts}.\n"
            f"Precision: {self.dtype}."
        )


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "rel_diff",
            "layer",
            "||h_v[l] - h_0[l]|| / ||h_0[l]||",
            "Size of the perturbation in units of the stream, over all tokens at once; 0 below "
            "the site.",
            "1",
            "named by the paper, which gives no formula; this one is the natural reading",
        ),
        Measure(
            "rel_diff_tokens",
            "layer",
            "mean over t of |D[l, t]| / |h_0[l, t]|",
            "The same per token and then averaged: tokens of a large norm do not dominate.",
            "1",
            "chosen",
        ),
        Measure(
            "update_ratio",
            "layer",
            "||U[l]|| / ||D[l]||",
            "How much larger the adapter's update is than the perturbation, in activation space; "
            "undefined below the site, and where no adapter can be switched off.",
            "1",
            "the paper states 80 to 1,700 without a formula; activation space is chosen",
        ),
        Measure(
            "cosine_tokens",
            "layer",
            "mean over t of cos(U[l, t], D[l, t])",
            "Do adapter and perturbation point the same way at a token? Random directions give "
            "about 0 with spread 1/sqrt(d): compare with variant `random`. Tokens on which one of "
            "the two is 0 have no cosine and are left out.",
            "1",
            "the paper states 'near zero' without a formula; this reading is chosen",
        ),
        Measure(
            "cosine_mean",
            "layer",
            "cos(sum over t of U[l, t], sum over t of D[l, t])",
            "Do the two point the same way on average over tokens? Differs from cosine_tokens "
            "where their common part is small beside what varies.",
            "1",
            "chosen, the other reading of the paper's cosine",
        ),
        Measure(
            "amplification",
            "benchmark",
            "rel_diff[L] / rel_diff[k]",
            "Growth of the perturbation from the site to the last layer. Growth alone is generic: "
            "compare with variant `random`.",
            "1",
            "the paper states that it amplifies with depth, without a formula; chosen",
        ),
        Measure(
            "amplification_over_random",
            "benchmark",
            "amplification of v / mean over draws of the amplification of `random`",
            "Above 1 the perturbation grows more than one of the same size in a random direction.",
            "1",
            "chosen",
            variants=("block", "static", "shuffled"),
        ),
        Measure(
            "kl",
            "benchmark",
            "mean over prompts of sum over x of p_v(x) log(p_v(x) / p_0(x))",
            "Effect on the distribution of the next token, the first of the answer.",
            "nat",
            "chosen; not in the paper",
            tokens=LAST,
            dtype=FLOAT64,
        ),
        Measure(
            "curve_correlation",
            "pair",
            "Pearson correlation over l = k..L of rel_diff[l] on two benchmarks",
            "Have the two curves the same shape? If those of variant `static` agree as well, "
            "stability does not show sequence conditioning. Undefined for fewer than 3 states.",
            "1",
            "the paper calls the shape 'essentially the same' without a statistic; chosen",
        ),
        Measure(
            "curve_deviation",
            "pair",
            "max over l = k..L of |a[l] - b[l]|, a and b the rel_diff of two benchmarks",
            "The largest distance of the two curves.",
            "1",
            "chosen",
        ),
        Measure(
            "curve_deviation_relative",
            "pair",
            "max over l = k..L of |a[l] - b[l]| / ((a[l] + b[l]) / 2)",
            "The same in units of the curves' own height; layers where both are 0 are left out.",
            "1",
            "chosen",
        ),
        Measure(
            "slot_usage_entropy",
            "benchmark",
            "H(mean over t of w[t]) / log M, w[t] the attention of token t's reader to its M slots",
            "1: over the tokens all slots are used alike; 0: one slot serves all. Undefined for "
            "one slot.",
            "1",
            "chosen",
            dtype=BLOCK32,
            variants=("block",),
        ),
        Measure(
            "slot_attention_entropy",
            "benchmark",
            "mean over t of H(w[t]) / log M",
            "1: every token reads all slots alike; 0: every token reads one. Undefined for one "
            "slot.",
            "1",
            "chosen",
            dtype=BLOCK32,
            variants=("block",),
        ),
        Measure(
            "compress_entropy",
            "benchmark",
            "mean over prompts and slots of H(a[m]) / log n, a[m] the attention of slot m to the "
            "n tokens that may be seen",
            "1: a slot is the plain mean of the tokens; 0: it is one of them. Prompts of one token "
            "have none. Undefined for control `static`.",
            "1",
            "chosen",
            tokens="what the last prompt token may see, PEFT's virtual tokens included",
            dtype=BLOCK32,
            variants=("block",),
        ),
        Measure(
            "gate",
            "block",
            "tanh(g)",
            "The gate of writeback rule `gate`, 1/2 at the start; undefined for other rules.",
            "1",
            "chosen",
            tokens="none",
            prompts="none",
            dtype="float32",
            variants=(),
        ),
        Measure(
            "scale",
            "block",
            "a",
            "The scale of control `random`, 0 at the start; undefined for other blocks.",
            "1",
            "chosen",
            tokens="none",
            prompts="none",
            dtype="float32",
            variants=(),
        ),
    )
}
"""Every measure by name, in the order of a report."""

Function = TypeVar("Function", bound=Callable[..., Any])


def defines(name: str) -> Callable[[Function], Function]:
    """Put the definition of measure `name` into the docstring of the function that takes it."""

    def decorate(function: Function) -> Function:
        function.__doc__ = f"{function.__doc__}\n\n{MEASURES[name].text()}"
        return function

    return decorate
