/* The DSP kernel set: M4, M7, M33 and every core with the DSP extension. */
#ifndef MBN_DSP_KERNELS_H
#define MBN_DSP_KERNELS_H

#include "dsp/depthwise.h"
#include "dsp/pointwise.h"

#endif
