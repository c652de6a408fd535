// step.glsl: the step block (shared/step.h) as kernels read it.
#ifndef LIB_STEP_GLSL
#define LIB_STEP_GLSL

#include "lib/global.glsl"
#include "shared/step.h"

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer ReadStepHeader { StepHeader v; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer ReadStepColumn { StepColumn v; };

StepHeader step_header(uint64_t step_block)
{
    return ReadStepHeader(step_block).v;
}
StepColumn step_column(uint64_t step_block, uint column)
{
    return ReadStepColumn(step_block + uint64_t(16u + column * 16u)).v;
}

#endif
