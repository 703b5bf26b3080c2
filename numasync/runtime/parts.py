"""Kernels as parts of other kernels: what makes the first start short.

Numba compiles a kernel that another kernel calls as if it stood alone. LLVM optimises it and makes machine code of it,
optimises it again inside its caller, and again inside the caller's caller. Most kernels are only called by others. So a
`Kernel` is compiled in two ways:

    itself    optimised, with machine code, kept in the cache: Python calls it, or it is passed as a function
    its part  neither: it is linked into the kernel that calls it, and optimised there, once

The parts of a kernel that is in the cache are not compiled at all. The results are the same, bit for bit, and so is the
speed. CartPole's kernels compile in a third of the time.

This module uses classes of Numba that its documentation does not describe. It needs four of their methods.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import codegen, compiler_machinery, registry, typed_passes
from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder
from numba.core.typing.typeof import Purpose, typeof_impl


class PartLibrary(codegen.JITCodeLibrary):
    """LLVM's code of a part and of all parts that it calls. It is not optimised, and no machine code is made of it."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@compiler_machinery.register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(typed_passes.NativeLowering):
    """Write LLVM's code of a part into a PartLibrary, without wrappers for Python and C."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """Do it for the state of a compilation."""
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = state.flags.no_compile = True
        super().run_pass(state)
        # Numba finds the library of what a kernel calls by an object, which is the entry point for Python elsewhere.
        found_by = object()
        state.targetctx.insert_user_function(found_by, state.cr.fndesc, [state.library])
        state.cr = state.cr._replace(cfunc=found_by)
        return True


class PartCompiler(CompilerBase):
    """Numba's compiler with PartLowering in the place of its last pass but one."""

    def define_pipelines(self) -> list[Any]:
        """Return the passes."""
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        lowering = typed_passes.NativeLowering
        manager.passes = [(PartLowering if done is lowering else done, why) for done, why in manager.passes]
        manager.finalize()
        return [manager]


class Part(registry.CPUDispatcher):
    """What other kernels call. Python cannot call it."""

    def add_overload(self, compiled: Any) -> None:
        """Keep a compilation."""
        self.overloads[tuple(compiled.signature.args)] = compiled

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Compile the part for a call. A constant integer is an integer like others, and no kind of its own."""
        return super().get_call_template([types.unliteral(kind) for kind in args], kws)


class Kernel(registry.CPUDispatcher):
    """A function that Numba compiles on first use, and its part. It takes the arguments of Numba's own class."""

    def __init__(
        self, py_func: Callable[..., Any], locals: Any = None, targetoptions: Any = None, pipeline_class: Any = Compiler
    ) -> None:
        super().__init__(py_func, locals, targetoptions, pipeline_class)
        self.part = Part(py_func, locals, targetoptions, PartCompiler)


@typeof_impl.register(Kernel)
def type_of_kernel(kernel: Kernel, context: Any) -> types.Dispatcher:
    """Return what a kernel is to Numba: where another kernel names it, its part, and itself where it is passed."""
    return types.Dispatcher(kernel.part if context.purpose == Purpose.constant else kernel)
