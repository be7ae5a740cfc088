"""network.h: the network's sizes as macros, its state, its declarations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mbn.passes.emit import detection, results
from mbn.passes.emit.job import (
    Job,
    about,
)
from mbn.passes.emit.names import c_string


def header(job: Job) -> str:
    prefix, upper = job.prefix, job.prefix.upper()
    source, out = job.network.input, job.network.output
    near = f" - {upper}_FAR_BYTES" if job.far_bytes else ""
    macros = results.macros(job.network, job.prefix)
    host_softmax = int("softmax" in job.network.host_ops)
    return f"""{about(job)}
#ifndef {upper}_NETWORK_H
#define {upper}_NETWORK_H

{detection.include(job)}#include "mbn/mbn.h"

#include <stdalign.h>

#define {upper}_INPUT_HEIGHT {source.height}u
#define {upper}_INPUT_WIDTH {source.width}u
#define {upper}_INPUT_CHANNELS {source.channels}u
#define {upper}_INPUT_SCALE {source.scale!r}f
#define {upper}_INPUT_ZERO_POINT ({source.zero_point})
/* A pixel p of 8 bits means (p / 255 - mean) / std, by channel; mbn_push_pixels stores it so. */
#define {upper}_INPUT_MEAN {_floats(_mean_std(job)[0])}
#define {upper}_INPUT_STD {_floats(_mean_std(job)[1])}
#define {upper}_OUTPUT_BYTES {out.size_bytes}u
#define {upper}_OUTPUT_SCALE {out.scale!r}f
#define {upper}_OUTPUT_ZERO_POINT ({out.zero_point})
{macros}#define {upper}_HOST_SOFTMAX {host_softmax} /* 1: left to the caller */
#define {upper}_ARENA_BYTES {job.plan.arena_bytes}u
#define {upper}_FAR_BYTES {job.far_bytes}u /* of them in a second memory, section .mbn_far */
#define {upper}_STAGES {len(job.network.stages)}u

#ifdef __cplusplus
extern "C" {{
#endif

extern const mbn_network {prefix};

/* Everything that changes while the network runs; the caller owns it. */
typedef struct {prefix}_state {{
    mbn_state base;
    uint16_t rows_done[{len(job.tensors)}];
    const int8_t *window[{job.window_rows}];
    int8_t *band[{job.band_rows}];
    struct {{
        uint32_t guard_low;
        alignas(16) uint8_t arena[{upper}_ARENA_BYTES{near}];
        uint32_t guard_high;
    }} memory;
}} {prefix}_state;

/* Ties the state together and begins the first image. */
MBN_MUST_USE mbn_status {prefix}_init({prefix}_state *state);

{_predict(job)}{detection.declarations(job)}{_labels(job)}#ifdef __cplusplus
}}
#endif

#endif
"""


def _predict(job: Job) -> str:
    """One call for one whole image, of pixels or of codes."""
    prefix, upper = job.prefix, job.prefix.upper()

    def function(name: str, kind: str, push: str, what: str) -> str:
        return f"""/* A whole image of {what}, height x width x channel, in one call: mbn_output is
 * then the result. Nothing need be called before; it may be called again. */
MBN_MUST_USE static inline mbn_status
{prefix}_{name}({prefix}_state *state, const {kind} *image)
{{
    const uint32_t row = {upper}_INPUT_WIDTH * {upper}_INPUT_CHANNELS;
    mbn_status status = image ? {prefix}_init(state) : MBN_ERR_ARGUMENT;
    for (uint32_t y = 0; status == MBN_OK && y < {upper}_INPUT_HEIGHT; y++) {{
        status = {push}(&state->base, image + y * row);
    }}
    return status == MBN_OK ? mbn_finish(&state->base) : status;
}}

"""

    return function("predict", "uint8_t", "mbn_push_pixels", "8-bit pixels") + function(
        "predict_codes", "int8_t", "mbn_push_row", "int8 codes"
    )


def _labels(job: Job) -> str:
    """The names of the classes, where they are known; they cost nothing where nobody reads them."""
    names, detector = job.network.classes, job.network.detector
    count = detector.classes if detector else job.network.output.size_bytes
    if not names or len(names) != count:
        return ""
    prefix, upper = job.prefix, job.prefix.upper()
    listed = "".join(f"        {c_string(name)},\n" for name in names)
    return f"""#define {upper}_CLASSES {len(names)}u

/* The name of a class in UTF-8; empty for one that there is not. */
static inline const char *{prefix}_label(uint32_t index)
{{
    static const char *const labels[{upper}_CLASSES] = {{
{listed}    }};
    return index < {upper}_CLASSES ? labels[index] : "";
}}

"""


def _mean_std(job: Job) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation by channel. If the network has none: the values that turn pixel p into
    code p - 128."""
    source = job.network.input
    if job.network.mean:
        return job.network.mean, job.network.std
    count = source.channels
    return [(128 + source.zero_point) / 255] * count, [1 / (255 * source.scale)] * count


def _floats(values: Sequence[float]) -> str:
    return "{" + ", ".join(f"{float(np.float32(value))!r}f" for value in values) + "}"
