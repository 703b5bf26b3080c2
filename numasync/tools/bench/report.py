"""Results as lines of text: a table for each section. The keys of its rows choose the headings and the formats."""

from collections.abc import Mapping, Sequence
from typing import Any

from numasync.tools.bench.section import Section
from numasync.tools.text import align

# For each key of rows and summaries: its heading, and the format of its values.
COLUMNS = {
    "product": ("product", ""),
    "layer": ("layer", ""),
    "network": ("network", ""),
    "pass": ("pass", ""),
    "rows": ("rows", "d"),
    "shape": ("shape", ""),
    "environment": ("environment", ""),
    "algorithm": ("algorithm", ""),
    "t_max": ("t_max", "d"),
    "workers": ("workers", "d"),
    "threads": ("threads", "d"),
    "part": ("part", ""),
    "what": ("what", ""),
    "microseconds": ("us", ",.2f"),
    "gflops": ("GFLOP/s", ",.1f"),
    "numpy_gflops": ("NumPy's", ",.1f"),
    "ratio": ("ours/NumPy", ".2f"),
    "of_peak": ("of peak", ".0%"),
    "steps_per_s": ("steps/s", ",.0f"),
    "scaling": ("scaling", ".2f"),
    "of_environment": ("of the environment alone", ".1%"),
    "program": ("program", ""),
    "steps_per_update": ("steps an update", ",d"),
    "ours": ("numasync", ""),
    "our_steps_per_s": ("numasync's steps/s", ",.0f"),
    "peer_ratio": ("numasync/program", ",.2f"),
    "lowest_ratio": ("lowest", ",.2f"),
    "highest_ratio": ("highest", ",.2f"),
    "cold_seconds": ("empty caches", ",.1f"),
    "warm_seconds": ("full caches", ",.1f"),
    "share": ("share", ".1%"),
    "seconds": ("s", ",.2f"),
    "start_megabytes": ("MB at the start", ",.0f"),
    "end_megabytes": ("MB at the end", ",.0f"),
    "ratio_geometric_mean": ("geometric mean of ours/NumPy", ".2f"),
    "ratio_minimum": ("minimum", ".2f"),
    "peak_gflops": ("peak of a core, GFLOP/s", ",.1f"),
    "numpy_call_microseconds": ("subtracted for a call of np.dot, us", ".2f"),
}


def machine_lines(machine: Mapping[str, Any]) -> list[str]:
    """Return two lines about a machine, see `describe_machine`: the hardware, and the versions."""
    m = machine
    versions = ", ".join(
        f"{name.replace('_', '-')} {m[name]}"
        for name in ("numasync", "python", "numpy", "numba", "llvmlite", "gymnasium", "ale_py")
    )
    cores = f"{m['cores']} cores under a load of {m['load']}"
    hardware = f"{m['processor']}, {cores}, LLVM's {m['llvm_cpu']} with {m['simd']}, {m['system']}"
    return [hardware, f"{versions}, BLAS {m['blas']}"]


def section_lines(section: Section) -> list[str]:
    """Return the table of a section's rows, a line for its summary, and its notes."""
    lines = format_table(section["rows"]) if section["rows"] else []
    if section["summary"]:
        lines.append("; ".join(f"{COLUMNS[key][0]} {format_cell(key, x)}" for key, x in section["summary"].items()))
    return lines + section["notes"]


def format_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line of headings and a line for each row. Texts are aligned to the left, numbers to the right.

    rows  one row or more, with the same keys each
    """
    keys = list(rows[0])
    cells = [[COLUMNS[key][0] for key in keys], *([format_cell(key, row[key]) for key in keys] for row in rows)]
    return align(cells, left=[i for i, key in enumerate(keys) if isinstance(rows[0][key], str)])


def format_cell(key: str, value: Any) -> str:
    """Return a value as text, in the format of its column."""
    return format(value, COLUMNS[key][1])
