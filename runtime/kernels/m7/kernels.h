/* The kernel set of the Cortex-M7: the dsp set's over groups of three pixels, with bodies that
 * issue two instructions a cycle. */
#ifndef MBN_M7_KERNELS_H
#define MBN_M7_KERNELS_H

#include "scalar/compiler.h"

#define MBN_DSP_GROUP 3

#if defined(__GNUC__) && !defined(__clang__) && defined(__arm__)
#pragma GCC optimize("no-schedule-insns") /* see dsp/kernels.h */
#endif

#include "dsp/depthwise.h"
#include "dsp/elements.h"
#include "dsp/fill.h"
#include "dsp/planes.h"
#include "dsp/pointwise.h"
#include "dsp/pool.h"
#include "dsp/vector.h"

#endif
