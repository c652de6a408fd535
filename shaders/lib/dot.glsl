// dot.glsl: integer dot products of four int8 packed in a word (SPV_KHR_integer_dot_product), and 8-bit activations.
#ifndef LIB_DOT_GLSL
#define LIB_DOT_GLSL

#extension GL_EXT_spirv_intrinsics : require

// OpSDot; capabilities DotProduct and DotProductInput4x8BitPacked. Exact.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int op_sdot(uint a, uint b, spirv_literal int packed_format);

int sdot(uint a, uint b)
{
    return op_sdot(a, b, 0);
}

// Where column col begins in what quantize_q8 wrote; its scales begin n_in bytes further.
uint q8_column(uint col)
{
    return col * Q8_COL_BYTES(args.n_in);
}

// Words 4 i .. 4 i + 3 of block b.
uvec4 load_q8(uint column, uint b, uint i)
{
    return load128(args.x, column + 32u * b + 16u * i);
}

// d, and d * sum of the block.
vec2 load_q8_scale(uint column, uint b)
{
    return uintBitsToFloat(load64(args.x, column + args.n_in + 8u * b));
}

#endif
