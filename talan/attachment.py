"""Attach a block to a decoder by forward hooks: where it hangs, and how a model's blocks are found.

Layers are never wrapped or replaced: PEFT would silently skip a wrapped layer. Hooks are put
first, so that whatever else listens to a layer (hidden states, probes) sees the written stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from talan.axes import resolve_insertion
from talan.block import Block
from talan.config import TalanConfig
from talan.decoder import Decoder, find_decoder
from talan.errors import TalanError, nearest

if TYPE_CHECKING:
    from talan.handle import Handle

CHILD = "talan"
"""The name of the child module that holds the blocks of a model."""

_KEY = "talan_side_paths"


class SidePaths(nn.ModuleDict):
    """The blocks of a model by name, and their handles; at most one of them is active."""

    def __init__(self, owner: nn.Module) -> None:
        super().__init__()
        self.handles: dict[str, Handle] = {}
        self.active: str | None = None
        # Not as a submodule: the owner holds this module, not the other way round.
        self.__dict__["owner"] = owner


def attach(
    model: nn.Module,
    config: TalanConfig,
    *,
    name: str = "default",
    generator: torch.Generator | None = None,
    layers: nn.ModuleList | None = None,
) -> Handle:
    """Put a block on `model` and return its handle; logits stay bit-identical until it trains.

    `model` is any Hugging Face decoder or a PEFT model around one. The block becomes part of its
    child module `talan`, so any trainer finds the parameters, on the device of the stream it
    writes. It becomes the active side path, and its scope says from now on what trains.

    `name` tells several side paths of one model apart. The parameters are drawn from `generator`
    alone; without one, a generator is seeded by one draw from torch's global state, so that
    `torch.manual_seed` decides. `layers` names the list of decoder layers of a model whose
    structure does not show it.

    `TalanError`, with the model as it was: a block of that name is attached, no decoder layers can
    be found, the model is an encoder-decoder, or the insertion lies beyond its last layer.
    """
    from talan.handle import Handle

    decoder = find_decoder(model, layers)
    paths = _paths(decoder)
    if paths is not None and name in paths.handles:
        raise TalanError(
            f"a block named {name!r} is attached to this model already",
            place="attach",
            value=name,
            hint="call handle.detach() first, or choose another name=",
        )
    if not name or "." in name or hasattr(nn.ModuleDict, name):
        raise TalanError(
            f"{name!r} cannot name a side path",
            place="attach",
            value=name,
            hint="choose letters, digits and _, such as 'default'",
        )
    if paths is not None and all(paths is not module for module in model.modules()):
        raise TalanError(
            f"the blocks of this model hang on its {type(paths.owner).__name__}",
            place="attach",
            value=type(model).__name__,
            hint="attach to that object",
        )
    site = resolve_insertion(config.insertion, len(decoder.layers))
    if generator is None:
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    block = Block(config, decoder.hidden_size, generator)
    block.to(_device_at(decoder, site, model))
    block.train(model.training)
    if paths is None:
        paths = SidePaths(model).train(model.training)
        model.add_module(CHILD, paths)
        decoder.stack.__dict__[_KEY] = paths
    paths[name] = block
    handle = Handle(model, block, name, decoder, site, paths)
    paths.handles[name] = handle
    handle.activate()
    return handle


def handles(model: nn.Module) -> Mapping[str, Handle]:
    """The handles of the side paths on `model`, by name; empty without any.

    Also of those that hang on an object around `model`. `TalanError` if `model` has no blocks and
    no decoder either.
    """
    own = (module for module in model.modules() if isinstance(module, SidePaths))
    paths = next(own, None) or _paths(find_decoder(model))
    return {} if paths is None else dict(paths.handles)


def active_handle(model: nn.Module, name: str | None = None) -> Handle:
    """The handle of the active side path of `model`, or of the one called `name`.

    `TalanError` if there is none, naming those that there are.
    """
    known = handles(model)
    if name is None:
        name = next((each for each, handle in known.items() if handle.active), None)
    if name is None or name not in known:
        raise TalanError(
            "no block is attached to this model" if not known else f"no block is named {name!r}",
            place="model",
            value=name,
            hint=nearest(name, known) if known else "call talan.attach(model, config) first",
        )
    return known[name]


def hang_on(model: nn.Module, handle: Handle) -> None:
    """See `Handle.hang_on`."""
    if find_decoder(model).stack is not handle.decoder.stack:
        raise TalanError(
            f"{type(model).__name__} holds another decoder",
            place="hang_on",
            value=type(model).__name__,
            hint="give the model that PEFT gave back",
        )
    paths = handle.paths
    delattr(paths.owner, CHILD)
    model.add_module(CHILD, paths)
    paths.__dict__["owner"] = model
    for each in paths.handles.values():
        each.moved(model)


def release(handle: Handle, decoder: Decoder, paths: SidePaths) -> None:
    """Take a block out of the model; with the last one, everything that held them."""
    if paths.handles.pop(handle.name, None) is None:
        return
    del paths[handle.name]
    if paths.active == handle.name:
        paths.active = None
    if not paths.handles:
        delattr(paths.owner, CHILD)
        del decoder.stack.__dict__[_KEY]


def _paths(decoder: Decoder) -> SidePaths | None:
    """The side paths whose hooks are on this decoder, whichever object around it holds them."""
    found: SidePaths | None = decoder.stack.__dict__.get(_KEY)
    return found


def _device_at(decoder: Decoder, site: int, model: nn.Module) -> torch.device:
    """The device of the stream at a site: where the layer before it puts it."""
    before = decoder.layers[site - 1] if site else decoder.layers[0]
    parameter = next(before.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
