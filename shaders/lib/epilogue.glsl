// epilogue.glsl: what follows a product of few columns and needs all of its rows, or 32 of them: done by the workgroup
// that is last (lib/last.glsl), where a dispatch of its own would cost more than it does.
//   FLAG_NORM            h = the norm of every column of y, in f32 or (FLAG_OUT_Q8) 8 bits
//   FLAG_GLU, OUT_Q8     h = y in 8 bits, a block of 32 by the last of the workgroups that make it
// Kernels of 8-bit activations define EPILOGUE_Q8; only they can write them.
#ifndef LIB_EPILOGUE_GLSL
#define LIB_EPILOGUE_GLSL

#include "lib/mat.glsl"
#include "lib/last.glsl"
#if EPILOGUE_Q8
#include "lib/quantize.glsl"
#endif
#include "lib/rms.glsl"

void norm_columns()
{
    for (uint c = 0u; c < args.n_cols; c++) {
        const uint64_t y = args.y + uint64_t(c * args.y_stride * 4u);
        const float scale = rms_scale(y, args.n_out, args.eps);
#if EPILOGUE_Q8
        if ((args.flags & FLAG_OUT_Q8) != 0u) {
            store_norm_q8(args.h, c, y, args.g, args.n_out, scale);
            continue;
        }
#endif
        store_norm(args.h + uint64_t(c * args.h_stride * 4u), y, args.g, args.n_out, scale);
    }
}

#if EPILOGUE_Q8
void quantize_columns(uint block)
{
    for (uint c = gl_LocalInvocationIndex; c < args.n_cols; c += WORKGROUP) {
        vec4 x[8];
        [[unroll]] for (uint i = 0u; i < 8u; i++)
            x[i] = SharedVec4(args.y + uint64_t((c * args.y_stride + 32u * block + 4u * i) * 4u)).v;
        store_q8_block(args.h, c, args.rows, block, x);
    }
}
#endif

// After this workgroup has stored its outputs [first, first + n) of args.rows.
void epilogue(uint first, uint n)
{
#if EPILOGUE_Q8
    if ((args.flags & (FLAG_GLU | FLAG_OUT_Q8)) == (FLAG_GLU | FLAG_OUT_Q8)) {
        if (last_of(args.done + uint64_t(first / 32u * 4u), 32u / n))
            quantize_columns(first / 32u);
        return;
    }
#endif
    if ((args.flags & FLAG_NORM) != 0u && last_of(args.done, (args.rows + n - 1u) / n))
        norm_columns();
}

#endif
