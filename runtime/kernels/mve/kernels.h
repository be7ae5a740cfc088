/* The Helium kernel set: M55, M85 and every core with the vector extension for integers. Its
 * bodies are also portable C, so that the set runs on the host under sanitizers. */
#ifndef MBN_MVE_KERNELS_H
#define MBN_MVE_KERNELS_H

#include "scalar/compiler.h"

#include "mve/depthwise.h"
#include "mve/elements.h"
#include "mve/gather.h"
#include "mve/pointwise.h"

#include "dsp/elements.h"
#include "dsp/planes.h"
#include "dsp/pool.h"

#endif
