/* The DSP kernel set: M4, M7, M33 and every core with the DSP extension. */
#ifndef MBN_DSP_KERNELS_H
#define MBN_DSP_KERNELS_H

#include "scalar/compiler.h"

/* The asm of single pixels takes nearly all registers. gcc's scheduling before register allocation
 * would keep other values alive across it, for which there are none (measured too: it only adds
 * spills). */
#if defined(__GNUC__) && !defined(__clang__) && defined(__arm__)
#pragma GCC optimize("no-schedule-insns")
#endif

#include "dsp/depthwise.h"
#include "dsp/elements.h"
#include "dsp/fill.h"
#include "dsp/planes.h"
#include "dsp/pointwise.h"
#include "dsp/pool.h"
#include "dsp/vector.h"

#endif
