// load_lanes.glsl: the loads of load.glsl where an invocation is a lane of a CPU's vector. Two ways, by the constant
// LOAD_BY_ROWS:
//   true   base and offset are the same for all lanes and say where lane 0 reads; lane l reads row_offset[l] bytes
//          further. One load per lane from an address that all of them know, then put together: a third of a gather's
//          price where the compiler makes these scalar loads.
//   false  each lane has its own offset. 64 bits at a time: such a load costs the same whatever its width.
#ifndef LIB_LOAD_LANES_GLSL
#define LIB_LOAD_LANES_GLSL

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer ReadU64Vec2 { u64vec2 v; };

uint row_offset[SUBGROUP];

// Declares `mine`: what READ has at base + offset, and further for each lane.
#define LOAD_ROWS(TYPE, READ)                                                                                    \
    TYPE mine = TYPE(READ(base + uint64_t(offset)).v);                                                            \
    [[unroll]] for (uint lane = 1u; lane < SUBGROUP; lane++) {                                                    \
        const TYPE other = TYPE(READ(base + uint64_t(row_offset[lane]) + uint64_t(offset)).v);                    \
        mine = gl_SubgroupInvocationID == lane ? other : mine;                                                    \
    }

uint load16(uint64_t base, uint offset)
{
    if (LOAD_BY_ROWS) {
        LOAD_ROWS(uint, ReadU16)
        return mine;
    }
    return read_u16(base, offset);
}

uint load32(uint64_t base, uint offset)
{
    if (LOAD_BY_ROWS) {
        LOAD_ROWS(uint, ReadU32)
        return mine;
    }
    return ReadU32(base + uint64_t(offset)).v;
}

uvec2 load64(uint64_t base, uint offset)
{
    if (LOAD_BY_ROWS) {
        LOAD_ROWS(uvec2, ReadUvec2)
        return mine;
    }
    return unpackUint2x32(ReadU64(base + uint64_t(offset)).v);
}

uvec4 load128(uint64_t base, uint offset)
{
    if (LOAD_BY_ROWS) {
        LOAD_ROWS(uvec4, ReadUvec4)
        return mine;
    }
    const u64vec2 v = ReadU64Vec2(base + uint64_t(offset)).v;
    return uvec4(unpackUint2x32(v.x), unpackUint2x32(v.y));
}

vec4 load_vec4(uint64_t base, uint offset)
{
    return uintBitsToFloat(load128(base, offset));
}

#endif
