"""What works with what: the one table that the matrix is run from and the documentation shows.

Every behaviour has a row. A cell that the row does not name means yes; one that it names says by
which error and sentence the combination fails, and why. Nothing is skipped: the tests provoke each
of these errors, also without a block where it is PEFT's or transformers' own.

`tests/talan/matrix/documentation.py` renders it in Markdown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from talan.errors import TalanError
from tests.talan.cases import ADAPTERS, BACKBONES, CASES
from tests.talan.matrix.subjects import Spec


@dataclass(frozen=True)
class No:
    """A combination that fails: with `error`, whose message contains `sentence`.

    `AssertionError` means that nothing is refused and the numbers are wrong. `why` is for the
    reader. `alone` says that it fails without a block too; otherwise only a block can show it.
    """

    why: str
    error: type[Exception] = AssertionError
    sentence: str = "Tensor-likes are not close"
    alone: bool = True


@dataclass(frozen=True)
class Row:
    """A behaviour: the numbers of PEFT's tests that it answers, where it is tried, and the noes.

    `on` holds `a` for every adapter on Qwen3, `b` for every backbone with LoRA or `e` for a few of
    them, and a key of `LEVELS` for some levels; 0 in `items` is none of PEFT's.
    """

    items: tuple[int, ...]
    on: str
    no: dict[str, No] = field(default_factory=dict)


def _all(names: str, no: No) -> dict[str, No]:
    return dict.fromkeys(names.split(), no)


def _without(method: str) -> dict[str, No]:
    """The adapters that are no layers inside the model have nothing to merge or unload."""
    no = No(f"there is no `{method}`", AttributeError, f"has no attribute '{method}'")
    return _all("prefix prompt none full", no)


_NO_ADAPTER = _all(
    "none full", No("there is no adapter", TypeError, "should be an instance of PeftConfig")
)
_NO_FILES = _all("none full", No("there is no adapter", AttributeError, "attribute 'peft_config'"))
_NO_FOLDER = _all(
    "none full",
    No("there is no adapter", ValueError, "Can't find 'adapter_config.json'", alone=False),
)
_IGNORED = No("PEFT ignores `adapter_names` without a word")
_LENT = No(
    "a donor is chosen per row", TalanError, "a donor lends its memory to a row", alone=False
)
_SHUFFLED = {"control=shuffled": _LENT, "prompt, control=shuffled": _LENT}
_UNTRAINED = No(
    "PEFT refuses to go on training a loaded prompt",
    TalanError,
    "PEFT cannot go on training a loaded prompt",
    alone=False,
)
_NO_FIELD = {
    "prefix": No("it has no target layers", AttributeError, "no attribute 'target_modules'"),
    "prompt": No("it has no target layers", AttributeError, "no attribute 'target_modules'"),
}

CAPABILITIES: dict[str, Row] = {
    # Decoding.
    "greedy decoding": Row((10,), "abf"),
    "static cache": Row(
        (0,),
        "abm",
        _all("prefix prompt", No("PEFT asks for an argument that is gone", KeyError, "cache_pos")),
    ),
    "no cache": Row((0,), "ab"),
    "chunked prefill": Row(
        (0,),
        "abm",
        {
            "prefix": No(
                "PEFT's mask is too long", RuntimeError, "must match the size of tensor b"
            ),
            "prompt": No("PEFT drops all but the last token of a chunk"),
        },
    ),
    "sampling": Row((10,), "ae"),
    "beam search": Row((10,), "abm"),
    "prompt lookup": Row(
        (0,),
        "abm",
        {
            "prefix": No("PEFT's cache loses its length", RuntimeError, "cannot be multiplied"),
            "prompt": No(
                "PEFT's mask is too short", RuntimeError, "must match the size of tensor b"
            ),
        },
    ),
    "assisted decoding": Row(
        (0,),
        "ae",
        {
            "prefix": No("PEFT's cache loses its length", RuntimeError, "cannot be multiplied"),
            "prompt": No("PEFT drops all but the last token of a guess"),
        },
    ),
    "continued chat": Row(
        (0,),
        "abm",
        {
            "prefix": No(
                "PEFT's mask is too long", RuntimeError, "must match the size of tensor b"
            ),
            "prompt": No("PEFT drops all but the last token of a turn"),
        },
    ),
    "copied prefix cache": Row(
        (0,),
        "ae",
        {
            "prefix": No(
                "PEFT leaves the given cache aside in a forward pass",
                sentence="the cache was not filled",
            ),
            "prompt": No("PEFT drops all but the last token behind a cache"),
        },
    ),
    "one static cache": Row(
        (0,),
        "abm",
        _all("prefix prompt", No("PEFT asks for an argument that is gone", KeyError, "cache_pos")),
    ),
    "cache operations": Row(
        (0,),
        "abm",
        {
            "prefix": No(
                "PEFT leaves the given cache aside in a forward pass",
                sentence="the cache was not filled",
            ),
            "prompt": No(
                "PEFT puts the prompt before every pass", sentence="the cache was not filled"
            ),
        },
    ),
    "a pickled cache": Row(
        (0,),
        "a",
        {
            "prefix": No(
                "PEFT's mask is too long", RuntimeError, "must match the size of tensor b"
            ),
            "prompt": No("PEFT drops all but the last token of a turn"),
        },
    ),
    "a gap in the memory": Row(
        (0,),
        "a",
        {
            "prefix": No(
                "PEFT replaces a cache by one of its own, so none has a gap",
                sentence="no gap was noticed",
                alone=False,
            ),
            "prompt": No(
                "PEFT asks for an argument that is gone", KeyError, "cache_pos", alone=False
            ),
        },
    ),
    "quantised cache": Row(
        (0,),
        "abm",
        {
            "prefix": No(
                "PEFT replaces a cache by one of its own",
                AttributeError,
                "no attribute 'max_cache_len'",
            )
        },
    ),
    "positional ids": Row((10,), "ae"),
    "holes in the mask": Row((10,), "ab"),
    "compiling": Row(
        (0,),
        "a",
        {"dora": No("torch cannot trace PEFT's DoRA", Exception, "Unsupported method call")},
    ),
    "compiled decoding": Row(
        (0,),
        "a",
        {
            "dora": No("torch cannot trace PEFT's DoRA", Exception, "Unsupported method call"),
            "prefix": No("PEFT leaves the given cache aside in a forward pass"),
            "prompt": No(
                "PEFT puts the prompt before every token", sentence="'shape' do not match"
            ),
        },
    ),
    # Sequences.
    "padding side": Row(
        (0,), "abf", {"prompt": No("PEFT puts the prompt before the padding, not before the text")}
    ),
    "right padding": Row((0,), "a"),
    "batch order": Row((0,), "ae"),
    "packed rows": Row(
        (0,),
        "abm",
        {
            "prefix": No("transformers sees no packing beside a cache"),
            "prompt": No("PEFT drops the positions"),
            **_SHUFFLED,
        },
    ),
    "input embeddings": Row((20,), "ab"),
    "causality": Row((0,), "abt"),
    "gradient causality": Row((0,), "abf"),
    # Training.
    "gradients": Row((11,), "abt"),
    "an optimiser step": Row((22,), "abt"),
    "gradients on the inputs": Row((2,), "ae"),
    "reentrant checkpointing": Row(
        (14,),
        "ab",
        {"prefix": No("PEFT's cache is dropped", RuntimeError, "must match the size of tensor b")},
    ),
    "checkpointing": Row(
        (14,),
        "abf",
        {"prefix": No("PEFT's cache is dropped", RuntimeError, "must match the size of tensor b")},
    ),
    "autocast": Row((22,), "ab"),
    "half precision": Row((10, 22), "ab"),
    "scope is kept": Row((22,), "aes"),
    "trainable biases": Row(
        (19,),
        "a",
        {
            **_NO_FIELD,
            **_NO_FILES,
            "ia3": No("it has no such field", TypeError, "unexpected keyword argument 'bias'"),
        },
    ),
    # The model around the block.
    "a no op at the start": Row((1, 21), "ab"),
    "detaching": Row((17,), "ae"),
    "disabling": Row((18,), "aes"),
    "copying the model": Row((0,), "ae"),
    "two side paths": Row((0,), "ae"),
    "representation": Row((22,), "ae"),
    "state dict": Row((21, 22), "ae"),
    # PEFT's operations.
    "adapter names": Row((1,), "a", _NO_ADAPTER),
    "switching adapters": Row((7,), "ae", _NO_ADAPTER),
    "deleting adapters": Row((16,), "ae", _NO_ADAPTER),
    "merging": Row((8,), "ae", _without("merge_adapter")),
    "merging for good": Row((8,), "ae", _without("merge_and_unload")),
    "unloading": Row((17,), "ae", _without("unload")),
    "mixed batches": Row(
        (9,),
        "ae",
        {
            "dora": No("PEFT refuses it", ValueError, "when DoRA is enabled"),
            **_all("vera ia3 prefix prompt", _IGNORED),
            **_NO_ADAPTER,
        },
    ),
    "chosen layers": Row(
        (13,),
        "ae",
        {
            **_NO_FIELD,
            **_NO_FILES,
            "ia3": No("it has no such field", TypeError, "argument 'layers_to_transform'"),
        },
    ),
    # Checkpoints.
    "saving and loading": Row((4, 12), "abf"),
    "files of a checkpoint": Row((4,), "a"),
    "peft reads its part": Row((3, 6, 12), "a", _NO_FOLDER),
    "loading beside an adapter": Row((3,), "a", _NO_FOLDER),
    "several adapters saved": Row((5, 7), "a", _NO_ADAPTER),
    "loading by folder": Row((3, 15), "a"),
    "training goes on": Row((22,), "a", _all("prefix prompt", _UNTRAINED)),
    "another backbone": Row((0,), "a"),
    "adapter keys": Row((22,), "a", _NO_FILES),
}

LEVELS = {
    "t": [name for name in CASES if name != "default"],
    # What a forward pass computes and remembers in its own way.
    "f": [
        "insertion=embedding", "insertion=late", "memory=1", "mixer=none", "mixer=attention",
        "writeback=bounded", "writeback=orthogonal", "conditioning=prompt", "control=static",
        "control=shuffled", "control=random", "prompt, control=static", "prompt, control=shuffled",
    ],
    # What the memory on a cache depends on: mixer and writeback act behind it.
    "m": [
        "insertion=embedding", "insertion=late", "memory=1", "conditioning=prompt",
        "control=static", "control=shuffled", "prompt, control=shuffled",
    ],
    "s": [name for name in CASES if name.startswith("scope=")],
    "c": ["insertion=late", "conditioning=prompt"],
}  # fmt: skip


# Other weights (Conv1D), fused experts, and layers that are called differently.
FEW_BACKBONES = ("gpt2", "qwen3-moe", "gpt-neox")


def cells() -> list[tuple[str, Spec, No | None]]:
    """Every combination that is tried: behaviour, spec, and why not, if so."""
    tried = []
    for name, row in CAPABILITIES.items():
        specs = {
            "a": [Spec(adapter=each) for each in ADAPTERS],
            # Qwen3 with LoRA is among the adapters.
            "b": [Spec(backbone=each) for each in BACKBONES if each != "qwen3"],
            "e": [Spec(backbone=each) for each in FEW_BACKBONES],
        }
        for key, levels in LEVELS.items():
            # Four layers tell the levels of insertion apart.
            specs[key] = [Spec(case=each, layers=2 if key == "c" else 4) for each in levels]
        for cross in row.on:
            varied = {"a": "adapter", "b": "backbone", "e": "backbone"}.get(cross, "case")
            tried += [(name, spec, row.no.get(getattr(spec, varied))) for spec in specs[cross]]
    return tried
