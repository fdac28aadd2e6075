"""Words that cannot be labels, because something else already answers to them."""

from __future__ import annotations

from typing import Final

from pgsynth_core.spec.settings import GROUPS

MEANINGS: Final = {
    **dict.fromkeys(GROUPS, "a group of conditions"),
    "data": "the slot",
    "none": "nothing",
    "core": "pgsynth itself",
    "site": "where a chain of processors stands",
}
"""Labels that mean something else wherever labels are written."""

_MODULE_NAMES: Final = """
T_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double dump_patches
eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu items keys
load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
set_submodule share_memory smart_apply state_dict to to_empty train training type update values xpu zero_grad
"""

MODULE_NAMES: Final = frozenset(_MODULE_NAMES.split())
"""Attributes of torch's module containers, `smart_apply` added by transformers: torch refuses them as labels."""
