"""Kernels as parts of other kernels: what makes the first start short.

Numba compiles a kernel that another kernel calls as if it stood alone. LLVM optimises it and makes machine code of it,
optimises it again inside its caller, and again inside the caller's caller. Most kernels are only called by others. So a
`Kernel` is compiled in two ways:

    itself    optimised, with machine code, kept in the cache: Python calls it, or it is passed as a function
    its part  neither: it is linked into the kernel that calls it, and optimised there, once

The parts of a kernel that is in the cache are not compiled at all. The results are the same, bit for bit, and so is the
speed. Two more things make compiling short. The compiler leaves out the passes that change nothing in a kernel, such as
those for closures and for arithmetic on whole arrays. And it remembers the types that an operator gives.

This module uses classes of Numba that its documentation does not describe. It needs seven of their methods.
"""

import functools
from collections.abc import Callable
from typing import Any

from numasync.runtime.messages import plain_messages
from numasync.runtime.numba_names import (
    codegen,
    compiler,
    compiler_machinery,
    registry,
    typed_passes,
    typeof,
    types,
    untyped_passes,
)


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


class Passes(compiler_machinery.PassManager):
    """Run passes one after the other. Numba's own manager also times each pass and reports it to listeners."""

    def _runPass(self, index: int, each: Any, state: Any) -> None:
        each.analysis = self._analysis
        each.run_pass(state)


# Arguments of these types make a signature that can be remembered: it depends on nothing else.
REMEMBERED = types.Integer, types.Float, types.Boolean, types.Array


class TypingContext:
    """Numba's typing context, with a memory. The kernels of a run add two integers a hundred times.

    context  Numba's own, which does all the work
    """

    signatures: dict[Any, Any] = {}

    def __init__(self, context: Any) -> None:
        self.context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)

    def resolve_function_type(self, function: Any, args: Any, kws: Any) -> Any:
        """Return the signature of a call of a function that Numba knows, or of an operator."""
        if kws or type(function) is not types.Function or not all(isinstance(kind, REMEMBERED) for kind in args):
            return self.context.resolve_function_type(function, args, kws)
        call = function, tuple(args)
        if call not in self.signatures:
            self.signatures[call] = self.context.resolve_function_type(function, args, kws)
        return self.signatures[call]


class KernelCompiler(compiler.CompilerBase):
    """Numba's compiler without the passes that change nothing in a kernel."""

    lowering: Any = typed_passes.NativeLowering

    def __init__(self, typing_context: Any, *arguments: Any) -> None:
        super().__init__(typing_context, *arguments)
        self.state.typingctx = TypingContext(typing_context)

    def define_pipelines(self) -> list[Any]:
        """Return the passes."""
        manager = Passes("kernel")
        for each in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.RewriteSemanticConstants,  # array.ndim becomes a constant,
            untyped_passes.DeadBranchPrune,  # and the branch for other arrays goes
            untyped_passes.GenericRewrites,  # a constant index of a tuple becomes a field
            untyped_passes.InlineInlinables,  # inline_kernel
            untyped_passes.DeadBranchPrune,
            untyped_passes.ReconstructSSA,
            typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis,
            typed_passes.IRLegalization,
            self.lowering,
            typed_passes.NoPythonBackend,
        ):
            manager.add_pass(each, "")
        manager.finalize()
        return [manager]


class PartCompiler(KernelCompiler):
    """The same for a part."""

    lowering = PartLowering


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
        self,
        py_func: Callable[..., Any],
        locals: Any = None,
        targetoptions: Any = None,
        pipeline_class: Any = KernelCompiler,
    ) -> None:
        super().__init__(py_func, locals, targetoptions, pipeline_class)

    def compile(self, signature: Any) -> Any:
        """Compile the kernel for a signature, or for a tuple of types, and return its entry point."""
        with plain_messages():
            return registry.CPUDispatcher.compile(self, signature)

    @functools.cached_property
    def part(self) -> Part:
        """What other kernels call. Most kernels of a program that starts out of the cache need none."""
        return Part(self.py_func, self.locals, self.targetoptions, PartCompiler)


@typeof.typeof_impl.register(Kernel)
def type_of_kernel(kernel: Kernel, context: Any) -> types.Dispatcher:
    """Return what a kernel is to Numba: where another kernel names it, its part, and itself where it is passed."""
    return types.Dispatcher(kernel.part if context.purpose == typeof.Purpose.constant else kernel)
