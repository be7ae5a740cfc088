"""weights.c: every constant table."""

from __future__ import annotations

from mbn.arithmetic import pixel_codes
from mbn.passes.emit.job import (
    Job,
    about,
    c_values,
    declarations,
    pixels_name,
    table_type,
)
from mbn.passes.emit.names import plain


def weights(job: Job) -> str:
    parts = [about(job), "#include <stdalign.h>\n#include <stdint.h>\n", declarations(job)]
    if job.network.mean:
        codes = pixel_codes(job.network)
        parts.append(
            "/* What pixels 0 .. 255 are stored as, channel by channel. */\n"
            f"const int8_t {pixels_name(job)}[{codes.size}] = {{\n"
            f"{c_values(codes.reshape(-1))}}};\n"
        )
    for index, code in enumerate(job.codes):
        stage = job.network.stages[index]
        for table in code.tables:
            shape = " x ".join(str(size) for size in table.values.shape)
            words = f"{plain(stage.name)}: {plain(table.meaning)}"
            parts.append(
                f"/* Stage {index}, {words}; {shape}. */\n"
                f"const {table_type(table)} "
                f"{job.table_name(index, table)}[{table.values.size}] = {{\n"
                f"{c_values(table.values.reshape(-1))}}};\n"
            )
    return "\n".join(parts)
