"""What was measured as lines of text: a table a section, its columns named and formatted by the keys of its rows."""

# How a key of rows and summaries is printed: its heading, and the format of its values.
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
    "share": ("share", ".1%"),
    "seconds": ("s", ",.2f"),
    "start_megabytes": ("MB at the start", ",.0f"),
    "end_megabytes": ("MB at the end", ",.0f"),
    "ratio_geometric_mean": ("geometric mean of ours/NumPy", ".2f"),
    "ratio_minimum": ("minimum", ".2f"),
    "peak_gflops": ("peak of a core, GFLOP/s", ",.1f"),
    "numpy_call_microseconds": ("subtracted for a call of np.dot, us", ".2f"),
}


def machine_lines(machine):
    """Two lines: the hardware, and the versions."""
    m = machine
    versions = ", ".join(
        f"{name.replace('_', '-')} {m[name]}"
        for name in ("numasync", "python", "numpy", "numba", "llvmlite", "gymnasium", "ale_py")
    )
    cores = f"{m['cores']} cores under a load of {m['load']}"
    hardware = f"{m['processor']}, {cores}, LLVM's {m['llvm_cpu']} with {m['simd']}, {m['system']}"
    return [hardware, f"{versions}, BLAS {m['blas']}"]


def section_lines(section):
    """The table of a section's rows, a line of its summary, and its notes."""
    lines = table(section["rows"]) if section["rows"] else []
    if section["summary"]:
        lines.append("; ".join(f"{COLUMNS[key][0]} {printed(key, x)}" for key, x in section["summary"].items()))
    return lines + section["notes"]


def table(rows):
    """Dicts with the same keys as lines: texts to the left, numbers to the right, under their headings."""
    keys = list(rows[0])
    cells = [[COLUMNS[key][0] for key in keys], *([printed(key, row[key]) for key in keys] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    aligned = [str.ljust if isinstance(rows[0][key], str) else str.rjust for key in keys]
    return ["  ".join(put(cell, width) for put, cell, width in zip(aligned, line, widths)).rstrip() for line in cells]


def printed(key, value):
    return format(value, COLUMNS[key][1])
