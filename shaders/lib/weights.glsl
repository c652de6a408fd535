// weights.glsl: block_load and row_bytes of the format that the kernel was compiled for (WEIGHT_*); see block.glsl.
#ifndef LIB_WEIGHTS_GLSL
#define LIB_WEIGHTS_GLSL

#if defined(WEIGHT_F32)
#include "lib/format_f32.glsl"
#elif defined(WEIGHT_F16)
#include "lib/format_f16.glsl"
#elif defined(WEIGHT_BF16)
#include "lib/format_bf16.glsl"
#elif defined(WEIGHT_Q4_0)
#include "lib/format_q4_0.glsl"
#elif defined(WEIGHT_Q4_1)
#include "lib/format_q4_1.glsl"
#elif defined(WEIGHT_Q5_0)
#include "lib/format_q5_0.glsl"
#elif defined(WEIGHT_Q5_1)
#include "lib/format_q5_1.glsl"
#elif defined(WEIGHT_Q8_0)
#include "lib/format_q8_0.glsl"
#elif defined(WEIGHT_Q2_K)
#include "lib/format_q2_k.glsl"
#elif defined(WEIGHT_Q3_K)
#include "lib/format_q3_k.glsl"
#elif defined(WEIGHT_Q4_K)
#include "lib/format_q4_k.glsl"
#elif defined(WEIGHT_Q5_K)
#include "lib/format_q5_k.glsl"
#elif defined(WEIGHT_Q6_K)
#include "lib/format_q6_k.glsl"
#elif defined(WEIGHT_IQ4_NL)
#include "lib/format_iq4_nl.glsl"
#elif defined(WEIGHT_IQ4_XS)
#include "lib/format_iq4_xs.glsl"
#elif defined(WEIGHT_MXFP4)
#include "lib/format_mxfp4.glsl"
#else
#error "no weight format"
#endif

#endif
