/* The Helium kernel set: M55, M85 and every core with the vector extension for integers. Its
 * bodies are also portable C, so that the set runs on the host under sanitizers. */
#ifndef MBN_MVE_KERNELS_H
#define MBN_MVE_KERNELS_H

#include "scalar/compiler.h"

/* The pointwise's asm takes nearly all core registers: see dsp/kernels.h. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__arm__)
#pragma GCC optimize("no-schedule-insns")
#endif

#include "mve/depthwise.h"
#include "mve/elements.h"
#include "mve/gather.h"
#include "mve/pointwise.h"

#include "dsp/elements.h"
#include "dsp/planes.h"
#include "dsp/pool.h"

#endif
